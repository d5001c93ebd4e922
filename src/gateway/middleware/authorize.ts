import type { Context } from 'hono';
import { createMiddleware } from 'hono/factory';
import {
  ANONYMOUS,
  type Holder,
  type KeyHolder,
  type Principal,
  SCOPES,
  type Scope,
  type TokenHolder,
} from '../../define/principal.ts';
import { BOOTSTRAP_ID, isLimited } from '../../define/rows.ts';
import { systemNow } from '../../platform/clock.ts';
import { equalInConstantTime, sha256HexNow } from '../../platform/digest.ts';
import { Failure } from '../../platform/failure.ts';
import type { AppEnv } from '../context.ts';
import { type ApiKey, isCurrent, judge, type KeyVerdict } from '../principals/api-key.ts';
import type { Guard } from '../principals/guard.ts';
import { idOf, isWellFormed } from '../principals/key-format.ts';
import { notLimited } from '../principals/row-access.ts';
import { TICKET_PATHS } from '../principals/ticket.ts';
import { isToken, TOKEN_CHARACTERS_MAX } from '../principals/token-rules.ts';
import type { TokenVerdict } from '../principals/token-table.ts';
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
  /** Whether tokens of an issuer are accepted. */
  readonly acceptsTokens: boolean;
  /** The holder of a token that the isolate has verified, without waiting. `hash` is the SHA-256 of its text. */
  peekToken(hash: string): TokenHolder | undefined;
  /** @throws Failure `issuer_unavailable` */
  verifyToken(text: string, hash: string, ctx: KeepsAlive): Promise<TokenVerdict>;
  /** The holder of a ticket for a path; undefined if it is not valid there, or has expired. */
  holderOfTicket(text: string, path: string): Holder | undefined;
  /** Records that a key was used, after the answer. */
  noteUse(id: string, ctx: KeepsAlive): void;
}

/** The parts of hono's context that admission needs. */
export interface Asking {
  readonly req: { readonly raw: Request };
  readonly executionCtx: KeepsAlive;
}

const SHA256_HEX = /^[0-9a-f]{64}$/;
/** A bootstrap secret may be any text of this length. Longer texts are hashed only if they may be tokens. */
const KEY_CHARACTERS_MAX = 256;
/**
 * RFC 9110 §11.4: the scheme in any case, one or more spaces, and exactly one token. It is as long as a token may be; a key
 * has fewer characters.
 */
const BEARER = new RegExp(`^Bearer +([\\x21-\\x7e]{1,${TOKEN_CHARACTERS_MAX}})$`, 'i');

/** Paths that decide themselves whether they require a key. Any other path requires one. */
const DECIDE_THEMSELVES = [
  /^\/health(\/(live|ready))?$/,
  /^\/openapi\.json$/,
  /^\/metrics$/,
  /^\/v1\/events\/types$/,
  /^\/v1\/predictions\/[^/]+$/,
  /^\/(v1\/features\/read|get-online-features)$/,
  /^\/v2\/(health\/(live|ready)|models\/.+)$/,
];

/** The holder of the secret that the deployment has from its beginning. */
const BOOTSTRAP: KeyHolder = Object.freeze({
  kind: 'key',
  id: BOOTSTRAP_ID,
  scopes: new Set(SCOPES),
  claims: {},
});

/**
 * The sender of a request for a public or a guarded resource; without a promise if the isolate knows the key. It hashes
 * the key anew each time, in about a microsecond and synchronously, so neither the key nor a substitute for it stays in
 * memory.
 *
 * @param headers those of the request, for a caller that has them already.
 * @throws Failure `unauthorized` for a guarded resource without a credential, and for a credential that is no valid key;
 *   `insufficient_scope`; `database_unavailable` if the key is unknown here and cannot be looked up. Do not validate
 *   anything else of the request before: a 400 or 404 would reveal what exists to a sender without a key.
 */
export function admit(
  c: Asking,
  guard: Guard,
  access: AccessPorts,
  headers = c.req.raw.headers,
): Principal | Promise<Principal> {
  const authorization = headers.get('authorization');
  if (authorization === null && guard.isPublic) return ANONYMOUS;
  const text = BEARER.exec(authorization ?? '')?.[1];
  // Without a key there is nothing to compare. The hash of the empty text, which an unset secret gives, must not match.
  if (text === undefined) throw unauthorized('Send the key as "Authorization: Bearer <key>".');
  if (text.length > KEY_CHARACTERS_MAX && !(access.acceptsTokens && isToken(text)))
    throw unauthorized(NOT_A_KEY);
  const hash = sha256HexNow(text);
  const { apiKeySha256 } = access;
  if (SHA256_HEX.test(apiKeySha256) && equalInConstantTime(hash, apiKeySha256)) return BOOTSTRAP;
  const id = idOf(text);
  if (id === undefined) return ofToken(c, text, hash, guard, access);
  const isStrong = headers.get('millrace-consistency') === 'strong';
  const known = isStrong ? undefined : access.peekKey(id);
  if (known !== undefined) {
    const verdict = verdictOn(known, hash);
    if (!isOlder(known, verdict) || !isWellFormed(text)) return holderOf(known, verdict, guard);
    return found(c, { id, hash, isStrong: true }, guard, access);
  }
  // The database is not asked for a key that was mistyped.
  if (!isWellFormed(text)) throw unauthorized(NOT_A_KEY);
  return found(c, { id, hash, isStrong }, guard, access);
}

/**
 * Whether the key may have been rotated since its record was read, so that the secret is a new one. A rotation reaches
 * every isolate within the bound, and its answer has a secret that is used at once. A strong look-up asks the clock, and
 * the database only if the key has changed.
 */
function isOlder(known: ApiKey | null, verdict: KeyVerdict): boolean {
  return known !== null && verdict === 'unknown';
}

function ofToken(
  c: Asking,
  text: string,
  hash: string,
  guard: Guard,
  access: AccessPorts,
): TokenHolder | Promise<TokenHolder> {
  if (!access.acceptsTokens || !isToken(text)) throw unauthorized(NOT_A_KEY);
  const known = access.peekToken(hash);
  if (known !== undefined) return admitted(known, guard);
  return access.verifyToken(text, hash, c.executionCtx).then((judged) => {
    if (judged.verdict === 'valid') return admitted(judged.holder, guard);
    throw unauthorized(judged.verdict === 'expired' ? 'The token has expired. Get a new one.' : NOT_A_TOKEN);
  });
}

async function found(
  c: Asking,
  { id, hash, isStrong }: { readonly id: string; readonly hash: string; readonly isStrong: boolean },
  guard: Guard,
  access: AccessPorts,
): Promise<Principal> {
  const find = (strongly: boolean) => access.findKey(id, strongly, c.req.raw, c.executionCtx);
  let key = await find(isStrong);
  if (!isStrong && isOlder(key, verdictOn(key, hash))) key = await find(true);
  const holder = holderOf(key, verdictOn(key, hash), guard);
  access.noteUse(id, c.executionCtx);
  return holder;
}

const NOT_A_KEY =
  'The key is not valid here. Send the key as "Authorization: Bearer <key>", complete and unchanged.';
const NOT_A_TOKEN = 'The token is not valid here: check its issuer, audience, algorithm and signature.';
const REASONS = {
  unknown: NOT_A_KEY,
  revoked: 'The key was revoked. Ask for a new one.',
  expired: 'The key has expired. Ask for a new one.',
  rotated: 'The key was rotated, and the old secret is no longer valid. Use the new one.',
} as const;

function verdictOn(key: ApiKey | null, hash: string): KeyVerdict {
  return key === null ? 'unknown' : judge(key, hash, systemNow());
}

function holderOf(key: ApiKey | null, verdict: KeyVerdict, guard: Guard): KeyHolder {
  if (key === null || verdict !== 'valid')
    throw unauthorized(REASONS[verdict === 'valid' ? 'unknown' : verdict]);
  return admitted(key.holder, guard);
}

function admitted<Admitted extends Holder>(
  holder: Admitted,
  { isPublic, scope, limitsRows = false }: Guard,
): Admitted {
  if (isPublic) return holder;
  assertScope(holder, scope);
  if (!limitsRows && isLimited(holder)) throw notLimited();
  return holder;
}

function assertScope({ scopes }: Holder, scope: Scope | undefined): void {
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

/** The ticket of a request without a key, on a path that takes tickets. */
function ticketOf(c: Context<AppEnv>): string | undefined {
  const takesTickets = c.req.method === 'GET' && TICKET_PATHS.some((path) => path === c.req.path);
  return takesTickets && c.req.header('authorization') === undefined ? c.req.query('ticket') : undefined;
}

/** A ticket ends with the key that it was given to, within the same bound as that key. @throws Failure `unauthorized` */
async function ticketHolder(
  c: Context<AppEnv>,
  text: string,
  guard: Guard,
  access: AccessPorts,
): Promise<Holder> {
  const holder = access.holderOfTicket(text, c.req.path);
  const isOfKey = holder?.kind === 'key' && holder.id !== BOOTSTRAP_ID;
  const key = isOfKey ? await access.findKey(holder.id, false, c.req.raw, c.executionCtx) : undefined;
  if (holder !== undefined && (!isOfKey || (key !== undefined && isCurrent(key, systemNow()))))
    return admitted(holder, guard);
  const detail = 'The ticket is not valid here, or has expired. Get a new one by POST /v1/tickets.';
  throw new Failure('unauthorized', detail, { pointer: 'ticket' });
}

/** Middleware that requires a key with the scope of the route. */
export function authorizeBy(accessOf: (c: Context<AppEnv>) => AccessPorts) {
  return createMiddleware<AppEnv>(async (c, next) => {
    const guard = { isPublic: false, scope: scopeOf(c.req.method, c.req.path) };
    const ticket = ticketOf(c);
    const access = accessOf(c);
    c.set(
      'principal',
      ticket === undefined ? await admit(c, guard, access) : await ticketHolder(c, ticket, guard, access),
    );
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
