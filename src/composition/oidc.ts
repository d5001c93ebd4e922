import * as z from 'zod';
import { joined } from '../gateway/body.ts';
import { FETCH_TIMEOUT_MS } from '../gateway/principals/key-set.ts';
import { ALGORITHMS, CLOCK_SKEW_S_MAX, type TokenRules } from '../gateway/principals/token-rules.ts';
import { decodeJsonText } from '../platform/utf8.ts';
import { parseVars } from '../platform/vars.ts';

/** The most bytes of an issuer's keys: 64 of the largest take less. */
const KEY_SET_BYTES_MAX = 256 * 1024;
const CLOCK_SKEW_S_DEFAULT = 30;
/** Claims are names, or addresses (OpenID Connect Core §5.1.2). */
const MAPPING = /^([a-z][a-zA-Z0-9_-]{0,63})(?:=([\x21-\x2b\x2d-\x7e]{1,256}))?$/;

const list = (text: string) =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');

const Vars = z.object({
  OIDC_ISSUER: z.url().optional(),
  OIDC_AUDIENCE: z.string().transform(list).optional(),
  OIDC_JWKS_URL: z.url().refine(isSafe, 'expected https, or http on this machine').optional(),
  OIDC_ALGORITHMS: z
    .string()
    .default('RS256')
    .transform(list)
    .pipe(z.array(z.enum(ALGORITHMS)).min(1)),
  OIDC_CLOCK_SKEW_S: z.coerce.number().int().min(0).max(CLOCK_SKEW_S_MAX).default(CLOCK_SKEW_S_DEFAULT),
  OIDC_SCOPE_CLAIM: z.string().min(1).max(256).default('scope'),
  OIDC_ROW_CLAIMS: z
    .string()
    .default('')
    .transform(list)
    .pipe(z.array(z.string().regex(MAPPING, 'expected name or name=claim, separated by commas')).max(16)),
});

/** Keys that come over an open network could be anybody's. */
function isSafe(address: string): boolean {
  const { protocol, hostname } = new URL(address);
  return (
    protocol === 'https:' || (protocol === 'http:' && ['127.0.0.1', 'localhost', '[::1]'].includes(hostname))
  );
}

/** An issuer whose tokens are accepted, and where its keys are. */
export interface OidcConfig {
  readonly rules: TokenRules;
  readonly jwksUrl: string;
}

/** Undefined where no issuer is configured. @throws Error that names what is missing or invalid. */
export function oidcConfig(env: object): OidcConfig | undefined {
  const vars = parseVars(Vars, env);
  const { OIDC_ISSUER: issuer, OIDC_AUDIENCE: audiences = [], OIDC_JWKS_URL: jwksUrl } = vars;
  if (issuer === undefined && audiences.length === 0 && jwksUrl === undefined) return undefined;
  if (issuer === undefined || audiences.length === 0 || jwksUrl === undefined)
    throw new Error('Set OIDC_ISSUER, OIDC_AUDIENCE and OIDC_JWKS_URL together, or none of them.');
  const claims = vars.OIDC_ROW_CLAIMS.map((mapping) => {
    const [, name = '', claim = name] = MAPPING.exec(mapping) ?? [];
    return [name, claim] as const;
  });
  const rules = {
    issuer,
    audiences,
    algorithms: vars.OIDC_ALGORITHMS,
    clockSkewS: vars.OIDC_CLOCK_SKEW_S,
    scopeClaim: vars.OIDC_SCOPE_CLAIM,
    claims: Object.fromEntries(claims),
  };
  return { rules, jwksUrl };
}

/** The JSON at the address of an issuer's keys. A redirect is not followed: it could lead anywhere. */
export async function fetchKeySet(url: string): Promise<unknown> {
  const response = await fetch(url, {
    headers: { accept: 'application/json' },
    redirect: 'manual',
    signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
  });
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error(`The issuer's keys were answered with ${response.status}.`);
  }
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > KEY_SET_BYTES_MAX)
      throw new Error(`The issuer's keys have more than ${KEY_SET_BYTES_MAX} bytes.`);
    chunks.push(chunk);
  }
  return JSON.parse(decodeJsonText(joined(chunks, bytes)));
}
