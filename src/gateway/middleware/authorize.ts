import type { Context } from 'hono';
import { createMiddleware } from 'hono/factory';
import { ANONYMOUS, type Principal } from '../../define/principal.ts';
import { equalInConstantTime, sha256HexNow } from '../../platform/digest.ts';
import { Failure } from '../../platform/failure.ts';
import type { AppEnv } from '../context.ts';

/** The configuration that authorizes requests. */
export interface AccessPorts {
  /** SHA-256 of the key, in lower case. Any other text rejects every key. */
  readonly apiKeySha256: string;
}

const SHA256_HEX = /^[0-9a-f]{64}$/;

/** Paths that decide themselves whether they require the key. Any other path requires it. */
const DECIDE_THEMSELVES = [
  /^\/health\/(live|ready)$/,
  /^\/openapi\.json$/,
  /^\/metrics$/,
  /^\/v1\/events\/types$/,
  /^\/v1\/predictions\/[^/]+$/,
  /^\/v1\/features\/read$/,
];

const HOLDER_OF_THE_KEY: Principal = Object.freeze({ kind: 'key' });

/**
 * The sender of a request for a public or a protected resource. It hashes the key anew each time, in about a
 * microsecond and synchronously, so neither the key nor a substitute for it stays in memory.
 *
 * @throws Failure `unauthorized` for a protected resource without a credential, and for a credential that is not the
 *   key. Do not validate anything else of the request before: a 400 or 404 would reveal what exists to a sender without
 *   the key.
 */
export function admit(
  { headers }: Request,
  { isPublic }: { readonly isPublic: boolean },
  { apiKeySha256 }: AccessPorts,
): Principal {
  const authorization = headers.get('authorization');
  if (authorization === null && isPublic) return ANONYMOUS;
  const key = /^Bearer ([\x21-\x7e]{1,256})$/i.exec(authorization ?? '')?.[1];
  // Without a key there is nothing to compare. The hash of the empty text, which an unset secret gives, must not match.
  if (
    key !== undefined &&
    SHA256_HEX.test(apiKeySha256) &&
    equalInConstantTime(sha256HexNow(key), apiKeySha256)
  )
    return HOLDER_OF_THE_KEY;
  throw new Failure('unauthorized', 'Send the key as "Authorization: Bearer <key>".', {
    pointer: 'Authorization',
  });
}

/** Middleware that requires the key. */
export function authorizeBy(accessOf: (c: Context<AppEnv>) => AccessPorts) {
  return createMiddleware<AppEnv>(async (c, next) => {
    admit(c.req.raw, { isPublic: false }, accessOf(c));
    await next();
  });
}

/**
 * Middleware that requires the key on every path except those that decide themselves, so a forgotten route stays
 * protected.
 */
export function closedByDefault(accessOf: (c: Context<AppEnv>) => AccessPorts) {
  return createMiddleware<AppEnv>(async (c, next) => {
    if (!DECIDE_THEMSELVES.some((path) => path.test(c.req.path)))
      admit(c.req.raw, { isPublic: false }, accessOf(c));
    await next();
  });
}
