import type { Context } from 'hono';
import { createMiddleware } from 'hono/factory';
import { ANONYMOUS, type Principal } from '../../define/principal.ts';
import { equalInConstantTime } from '../../platform/digest.ts';
import { Failure } from '../../platform/failure.ts';
import { sha256HexNow } from '../../platform/sha256.ts';
import type { AppEnv } from '../context.ts';

/** Paths that decide by themselves whether they need the key, or need none. Any other path needs it. */
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
 * Who sent a request. It hashes the key anew each time, in about a microsecond and without waiting: so no key, and
 * nothing that stands for one, stays in memory.
 *
 * @param expectedSha256 the SHA-256 of the key, in lower case.
 * @throws Failure `unauthorized` for a credential that is not the key.
 */
export function principalOf(authorization: string | null, expectedSha256: string): Principal {
  if (authorization === null) return ANONYMOUS;
  const key = /^Bearer ([\x21-\x7e]{1,256})$/i.exec(authorization)?.[1] ?? '';
  if (!equalInConstantTime(sha256HexNow(key), expectedSha256)) throw keyNeeded();
  return HOLDER_OF_THE_KEY;
}

/** Middleware that asks for the key. */
export function authorizeBy(admit: (c: Context<AppEnv>) => Principal) {
  return createMiddleware<AppEnv>(async (c, next) => {
    admit(c);
    await next();
  });
}

/** Middleware that asks for the key on every path but those that decide by themselves, so a forgotten route is closed. */
export function closedByDefault(admit: (c: Context<AppEnv>) => Principal) {
  return createMiddleware<AppEnv>(async (c, next) => {
    if (!DECIDE_THEMSELVES.some((path) => path.test(c.req.path))) admit(c);
    await next();
  });
}

/** What a request without the key is answered where it is needed. */
export function keyNeeded(): Failure {
  return new Failure('unauthorized', 'Send the key as "Authorization: Bearer <key>".', {
    pointer: 'Authorization',
  });
}
