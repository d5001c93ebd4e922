import * as z from 'zod';
import { SCOPES, type TokenHolder, tokenHolder } from '../../define/principal.ts';

/**
 * The algorithms that a deployment may accept: signatures with a public key. `none` and `HS*` are not among them, because
 * with those anybody who has the public key could make a token.
 */
export const ALGORITHMS = [
  ...(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const),
  ...(['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'] as const),
] as const;
export type Algorithm = (typeof ALGORITHMS)[number];

/** The longest token that is looked at, in characters: known tokens are hashed with each request. */
export const TOKEN_CHARACTERS_MAX = 4_096;
/** RFC 7519 §4.1.4: "no more than a few minutes". */
export const CLOCK_SKEW_S_MAX = 60;
const SUBJECT_CHARACTERS_MAX = 255;
export const CLAIM_CHARACTERS_MAX = 256;

/** What a token has to be, and what it admits to. */
export interface TokenRules {
  readonly issuer: string;
  /** A token is for one of these. */
  readonly audiences: readonly string[];
  readonly algorithms: readonly Algorithm[];
  readonly clockSkewS: number;
  /** The claim with the scopes: a list, or one text with spaces (RFC 8693 §4.2). */
  readonly scopeClaim: string;
  /** The claims that limit rows, by the names that declarations use. */
  readonly claims: Readonly<Record<string, string>>;
}

const TOKEN = /^[\w-]+\.[\w-]+\.[\w-]+$/;

/** Whether a text has the form of a signed token (RFC 7515 §7.1). */
export function isToken(text: string): boolean {
  return text.length <= TOKEN_CHARACTERS_MAX && TOKEN.test(text);
}

const Texts = z.union([z.string().transform((text) => text.split(' ')), z.array(z.string())]);
const Subject = z.string().min(1).max(SUBJECT_CHARACTERS_MAX);
const Limit = z.union([z.string().min(1).max(CLAIM_CHARACTERS_MAX), z.int().transform(String)]);

/**
 * The principal of a verified token; undefined if it has no subject. Scopes that do not exist are left out, and so are
 * claims of other types than text and whole number: what they would admit to is then refused.
 */
export function holderOfToken(
  payload: Readonly<Record<string, unknown>>,
  { issuer, scopeClaim, claims }: TokenRules,
): TokenHolder | undefined {
  const subject = Subject.safeParse(payload['sub']);
  if (!subject.success) return undefined;
  const scopes = Texts.safeParse(payload[scopeClaim]).data ?? [];
  const limits = Object.entries(claims).flatMap(([name, claim]) => {
    const limit = Limit.safeParse(payload[claim]);
    return limit.success ? [[name, limit.data] as const] : [];
  });
  return tokenHolder(
    `${issuer}#${subject.data}`,
    SCOPES.filter((scope) => scopes.includes(scope)),
    Object.fromEntries(limits),
  );
}
