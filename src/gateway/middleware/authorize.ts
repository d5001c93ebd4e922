import type { Context } from 'hono';
import { createMiddleware } from 'hono/factory';
import { ANONYMOUS, type KeyHolder, type Principal, SCOPES, type Scope } from '../../define/principal.ts';
import { systemNow } from '../../platform/clock.ts';
import { equalInConstantTime, sha256HexNow } from '../../platform/digest.ts';
import { Failure } from '../../platform/failure.ts';
import type { AppEnv } from '../context.ts';
import { type ApiKey, judge } from '../principals/api-key.ts';
import type { Guard } from '../principals/guard.ts';
import { idOf, isWellFormed } from '../principals/key-format.ts';
import { scopeOf } from '../route-rules.ts';

/** The parts of a request's context that keep work alive after the request. */
export interface KeepsAlive {
  waitUntil(promise: Promise<unknown>): void;
}

/** What authorizes requests. One object for all requests of an isolate. */
export interface AccessPorts {
  /** SHA-256 of the bootstrap secret, in lower case. Any other text admits nobody by it. */
  readonly apiKeySha256: string;
  /** The key of this id, without waiting; null if there is none, undefined if the isolate cannot tell. */
  peekKey(id: string): ApiKey | null | undefined;
  /**
   * The key of this id; null if there is none.
   *
   * @param isStrong whether the answer reflects every revocation that was acknowledged before the call.
   * @throws Failure `database_unavailable`
   */
  findKey(id: string, isStrong: boolean, http: Request, ctx: KeepsAlive): Promise<ApiKey | null>;
  /** Records that a key was used, after the answer. */
  noteUse(id: string, ctx: KeepsAlive): void;
}

/** The parts of hono's context that admission needs. */
export interface Asking {
  readonly req: { readonly raw: Request };
  readonly executionCtx: KeepsAlive;
}

const SHA256_HEX = /^[0-9a-f]{64}$/;
const BEARER = /^Bearer ([\x21-\x7e]{1,256})$/i;

/** Paths that decide themselves whether they require a key. Any other path requires one. */
const DECIDE_THEMSELVES = [
  /^\/health\/(live|ready)$/,
  /^\/openapi\.json$/,
  /^\/metrics$/,
  /^\/v1\/events\/types$/,
  /^\/v1\/predictions\/[^/]+$/,
  /^\/v1\/features\/read$/,
];

/** The holder of the secret that the deployment has from its beginning. */
const BOOTSTRAP: KeyHolder = Object.freeze({ kind: 'key', id: 'bootstrap', scopes: new Set(SCOPES) });

/**
 * The sender of a request for a public or a guarded resource; without a promise if the isolate knows the key. It hashes
 * the key anew each time, in about a microsecond and synchronously, so neither the key nor a substitute for it stays in
 * memory.
 *
 * @throws Failure `unauthorized` for a guarded resource without a credential, and for a credential that is no valid key;
 *   `insufficient_scope`; `database_unavailable` if the key is unknown here and cannot be looked up. Do not validate
 *   anything else of the request before: a 400 or 404 would reveal what exists to a sender without a key.
 */
export function admit(c: Asking, guard: Guard, access: AccessPorts): Principal | Promise<Principal> {
  const authorization = c.req.raw.headers.get('authorization');
  if (authorization === null && guard.isPublic) return ANONYMOUS;
  const text = BEARER.exec(authorization ?? '')?.[1];
  // Without a key there is nothing to compare. The hash of the empty text, which an unset secret gives, must not match.
  if (text === undefined) throw unauthorized('Send the key as "Authorization: Bearer <key>".');
  const hash = sha256HexNow(text);
  const { apiKeySha256 } = access;
  if (SHA256_HEX.test(apiKeySha256) && equalInConstantTime(hash, apiKeySha256)) return BOOTSTRAP;
  const id = idOf(text);
  if (id === undefined) throw unauthorized(NOT_A_KEY);
  const isStrong = c.req.raw.headers.get('millrace-consistency') === 'strong';
  const known = isStrong ? undefined : access.peekKey(id);
  if (known !== undefined) return holderOf(known, hash, guard);
  // The database is not asked for a key that was mistyped.
  if (!isWellFormed(text)) throw unauthorized(NOT_A_KEY);
  return found(c, { id, hash, isStrong }, guard, access);
}

async function found(
  c: Asking,
  { id, hash, isStrong }: { readonly id: string; readonly hash: string; readonly isStrong: boolean },
  guard: Guard,
  access: AccessPorts,
): Promise<Principal> {
  const key = await access.findKey(id, isStrong, c.req.raw, c.executionCtx);
  const holder = holderOf(key, hash, guard);
  access.noteUse(id, c.executionCtx);
  return holder;
}

const NOT_A_KEY =
  'The key is not valid here. Send the key as "Authorization: Bearer <key>", complete and unchanged.';
const REASONS = {
  unknown: NOT_A_KEY,
  revoked: 'The key was revoked. Ask for a new one.',
  expired: 'The key has expired. Ask for a new one.',
  rotated: 'The key was rotated, and the old secret is no longer valid. Use the new one.',
} as const;

function holderOf(key: ApiKey | null, hash: string, { isPublic, scope }: Guard): KeyHolder {
  const verdict = key === null ? 'unknown' : judge(key, hash, systemNow());
  if (key === null || verdict !== 'valid')
    throw unauthorized(REASONS[verdict === 'valid' ? 'unknown' : verdict]);
  const { holder } = key;
  if (!isPublic) assertScope(holder, scope);
  return holder;
}

function assertScope({ scopes }: KeyHolder, scope: Scope | undefined): void {
  if (scope === undefined) {
    if (scopes.size === SCOPES.length) return;
    // As where there is no such route: a route that no rule names stays closed to keys with some scopes.
    throw new Failure('not_found', 'No route answers this; see /openapi.json.');
  }
  if (scopes.has(scope)) return;
  throw new Failure('insufficient_scope', `The key needs the scope ${scope}. Use a key that has it.`, {
    pointer: 'Authorization',
  });
}

function unauthorized(detail: string): Failure {
  return new Failure('unauthorized', detail, { pointer: 'Authorization' });
}

/** Middleware that requires a key with the scope of the route. */
export function authorizeBy(accessOf: (c: Context<AppEnv>) => AccessPorts) {
  return createMiddleware<AppEnv>(async (c, next) => {
    const scope = scopeOf(c.req.method, c.req.path);
    c.set('principal', await admit(c, { isPublic: false, scope }, accessOf(c)));
    await next();
  });
}

/**
 * Middleware that requires a key on every path except those that decide themselves, so a forgotten route stays
 * protected.
 */
export function closedByDefault(accessOf: (c: Context<AppEnv>) => AccessPorts) {
  const authorize = authorizeBy(accessOf);
  return createMiddleware<AppEnv>(async (c, next) => {
    if (DECIDE_THEMSELVES.some((path) => path.test(c.req.path))) await next();
    else await authorize(c, next);
  });
}
