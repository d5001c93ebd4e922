import { createHash } from 'node:crypto';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { type Claims, SCOPES, type Scope } from '../../../src/define/principal.ts';
import { BOOTSTRAP_ID } from '../../../src/define/rows.ts';
import type { ApiKey } from '../../../src/gateway/principals/api-key.ts';
import { newKey } from '../../../src/gateway/principals/key-format.ts';
import type { TokenRules } from '../../../src/gateway/principals/token-rules.ts';
import { principalText } from './catalogue.ts';

const BOOTSTRAP = 'isolation-bootstrap-secret';
export const BOOTSTRAP_SHA256 = sha256(BOOTSTRAP);
const ISSUER = 'https://issuer.test/';
export const TOKEN_RULES: TokenRules = {
  issuer: ISSUER,
  audiences: ['millrace'],
  algorithms: ['ES256'],
  clockSkewS: 0,
  scopeClaim: 'scope',
  claims: { tenant: 'tenant', team: 'team' },
};

/** A sender, and what it may read. */
export interface Reader {
  readonly name: string;
  readonly kind: 'anonymous' | 'refused' | 'key' | 'token';
  /** The text of its credential; absent for a sender without one. */
  readonly credential: string | undefined;
  /** As answers name it. */
  readonly principal: string;
  readonly hasScope: boolean;
  readonly isBootstrap: boolean;
  /** Whether it reads all rows. */
  readonly isUnlimited: boolean;
  readonly claims: Claims;
}

/** Everything that the deployments know of credentials. */
export interface Directory {
  readonly keys: ReadonlyMap<string, ApiKey>;
  /** The answer of the issuer's address. */
  readonly issuerKeys: unknown;
  readonly readers: readonly Reader[];
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/**
 * Readers of each kind: keys and tokens of every tenant, with another tenant's id as their team, keys of one tenant twice,
 * keys for all rows, without claims and without the scope, the bootstrap secret, strangers.
 */
export async function directoryOf(tenants: readonly string[], nowMs: number): Promise<Directory> {
  const keys = new Map<string, ApiKey>();
  const readers: Reader[] = [
    reader('anonymous', 'anonymous', undefined, 'anonymous', {}),
    reader('wrong secret', 'refused', 'isolation-wrong-secret', '', {}),
    {
      ...reader('bootstrap', 'key', BOOTSTRAP, principalText(BOOTSTRAP_ID, SCOPES, {}), {}),
      isBootstrap: true,
      isUnlimited: true,
    },
  ];
  const addKey = (name: string, claims: Claims, scopes: readonly Scope[] = ['data:read']) => {
    const index = keys.size + 1;
    const { id, text } = newKey((bytes) => new Uint8Array(bytes).fill(index));
    const holder = { kind: 'key', id, scopes: new Set(scopes), claims } as const;
    keys.set(id, { holder, hash: sha256(text), previous: null, expiresAtMs: null, revokedAtMs: null });
    readers.push(
      reader(name, 'key', text, principalText(id, scopes, claims), claims, scopes.includes('data:read')),
    );
  };
  const pair = await generateKeyPair('ES256');
  const addToken = async (
    name: string,
    subject: string,
    claims: Claims,
    scopes: readonly Scope[] = ['data:read'],
  ) => {
    const text = await new SignJWT({ iss: ISSUER, aud: 'millrace', sub: subject, scope: scopes, ...claims })
      .setProtectedHeader({ alg: 'ES256', kid: 'one' })
      .setExpirationTime(Math.floor(nowMs / 1_000) + 86_400)
      .sign(pair.privateKey);
    const principal = principalText(`${ISSUER}#${subject}`, scopes, claims);
    readers.push(reader(name, 'token', text, principal, claims, scopes.includes('data:read')));
  };
  for (const [index, tenant] of tenants.entries()) {
    const team = tenants[(index + 1) % tenants.length] ?? tenant;
    addKey(`key of ${tenant}`, { tenant, team });
    await addToken(`token of ${tenant}`, 'ada', { tenant, team });
  }
  addKey('a second key of a', { tenant: 'a', team: 'b' });
  addKey('all rows', { tenant: '*', team: '*' });
  addKey('no claims', {});
  addKey('no scope', { tenant: 'a', team: 'a' }, ['events:write']);
  addKey('another claim', { team: 'a' });
  await addToken('a token without claims', 'ada', {});
  await addToken('the same without claims of another', 'bob', {});
  await addToken('a token with a further scope', 'ada', {}, ['data:read', 'events:write']);
  await addToken('a token without the scope', 'ada', { tenant: 'a', team: 'a' }, ['events:write']);
  const jwk = { ...(await exportJWK(pair.publicKey)), kid: 'one', alg: 'ES256' };
  return { keys, readers, issuerKeys: { keys: [jwk] } };
}

function reader(
  name: string,
  kind: Reader['kind'],
  credential: string | undefined,
  principal: string,
  claims: Claims,
  hasScope = true,
): Reader {
  return {
    name,
    kind,
    credential,
    principal,
    hasScope,
    isBootstrap: false,
    isUnlimited: claims['tenant'] === '*',
    claims,
  };
}
