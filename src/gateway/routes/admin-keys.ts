import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { formatToken, type Token } from '../../cache/clock/clock.ts';
import { type Claims, type Holder, type KeyQuotas, SCOPES, type Scope } from '../../define/principal.ts';
import { systemNow } from '../../platform/clock.ts';
import { Failure } from '../../platform/failure.ts';
import { Instant } from '../../platform/instant.ts';
import type { StoredKey } from '../../storage/postgres/api-keys.ts';
import { auditingOwn, holderOf } from '../audit/action.ts';
import { parsed, readJson, readOptionalJson } from '../body.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { headersOf } from '../contract/headers.ts';
import { json, keySecurity, problem } from '../openapi.ts';
import { isKeyId } from '../principals/key-format.ts';
import { CLAIM_CHARACTERS_MAX } from '../principals/token-rules.ts';

const BODY_BYTES_MAX = 16_384;
const CLAIMS_MAX = 16;
const PAGE_MAX = 200;
/** A week is enough to change a secret everywhere; an older one should not stay valid beside it. */
const OVERLAP_S_MAX = 7 * 86_400;
const OVERLAP_S_DEFAULT = 86_400;

/** Units that a key may use; 0 would be a key that is not valid. */
const Units = z.int().min(1).max(Number.MAX_SAFE_INTEGER);
const Quotas = z.strictObject({ day: Units.optional(), month: Units.optional() }).openapi({
  description: 'units in a calendar day and in a calendar month, in UTC; see docs/gateway.md',
});
/** Names and values as declarations and issuers use them; `*` as a value admits to all rows. */
const CLAIM_NAME = /^[a-z][a-zA-Z0-9_-]{0,63}$/;
const KeyClaims = z
  .record(z.string().regex(CLAIM_NAME), z.string().min(1).max(CLAIM_CHARACTERS_MAX))
  .refine((claims) => Object.keys(claims).length <= CLAIMS_MAX, `A key has at most ${CLAIMS_MAX} claims.`);

/** The generator of the document leaves out the limits of names and of their number. */
const CLAIMS_IN_DOCUMENT = {
  description: 'what limits the key to rows, such as `{"tenant": "acme"}`',
  propertyNames: { pattern: CLAIM_NAME.source },
  maxProperties: CLAIMS_MAX,
};

const NewKey = z.strictObject({
  name: z.string().min(1).max(128),
  scopes: z.array(z.enum(SCOPES)).min(1).max(SCOPES.length),
  claims: KeyClaims.default({}).openapi(CLAIMS_IN_DOCUMENT),
  expiresAt: Instant.optional(),
  quotas: Quotas.default({}),
});
const Rotation = z.strictObject({
  overlapS: z.int().min(0).max(OVERLAP_S_MAX).default(OVERLAP_S_DEFAULT).openapi({
    description: 'how long the old secret stays valid, in seconds',
  }),
});
const IdParameter = z.object({ id: z.string().regex(/^[0-9a-f]{16}$/) });
const Page = z.object({
  before: z.coerce.number().int().positive().optional(),
  limit: z.coerce.number().int().min(1).max(PAGE_MAX).default(50),
});
const Shown = z
  .object({
    id: z.string(),
    name: z.string(),
    scopes: z.array(z.enum(SCOPES)),
    claims: z.record(z.string(), z.string()),
    createdAt: z.string(),
    createdBy: z.string().openapi({ description: 'the id of the key that created it, or `bootstrap`' }),
    expiresAt: z.string().nullable(),
    lastUsedAt: z.string().nullable().openapi({ description: 'to within about two minutes' }),
    previousValidUntil: z.string().nullable().openapi({
      description: 'until when the secret from before the last rotation is valid',
    }),
    revokedAt: z.string().nullable(),
    quotas: z.object({ day: z.int().nullable(), month: z.int().nullable() }),
  })
  .openapi('ApiKey');
const WithSecret = Shown.extend({
  key: z.string().openapi({ description: 'the whole key; it is never shown again' }),
});

/** A key with its text, which only this answer has. */
export interface IssuedKey {
  readonly stored: StoredKey;
  readonly text: string;
  readonly token: Token;
}

/** All of them throw Failure `database_unavailable`; those that change a key, `clock_unavailable` too. */
export interface KeyPorts {
  /** The newest first. */
  readonly list: (page: {
    readonly before: number | undefined;
    readonly limit: number;
  }) => Promise<StoredKey[]>;
  readonly find: (id: string) => Promise<StoredKey | null>;
  readonly create: (key: {
    readonly name: string;
    readonly scopes: readonly Scope[];
    readonly claims: Claims;
    readonly expiresAtMs: number | null;
    readonly quotas: KeyQuotas;
    /** The id of the sender, and the sender as the audit log names it. */
    readonly by: string;
    readonly principal: string;
  }) => Promise<IssuedKey>;
  /** @throws Failure `key_ended` */
  readonly rotate: (id: string, previousUntilMs: number, principal: string) => Promise<IssuedKey>;
  /** @throws Failure `not_found` */
  readonly revoke: (id: string, principal: string) => Promise<Token>;
}

/** Shows, creates, rotates and revokes API keys. */
export function registerKeys(app: OpenAPIHono<AppEnv>, _: Gateway, keysOf: PortsOf<KeyPorts>): void {
  registerCreation(app, keysOf);
  registerReads(app, keysOf);
  registerRotation(app, keysOf);
  registerRevocation(app, keysOf);
}

function registerCreation(app: OpenAPIHono<AppEnv>, keysOf: PortsOf<KeyPorts>): void {
  app.openAPIRegistry.registerPath({
    method: 'post',
    path: '/v1/admin/keys',
    operationId: 'createKey',
    summary: 'Creates a key, and shows it once',
    tags: ['admin'],
    security: keySecurity,
    request: { body: { required: true, content: { 'application/json': { schema: NewKey } } } },
    responses: {
      201: json('The key is valid.', WithSecret, ['Millrace-Token']),
      403: problem('The caller lacks `keys:write`, or a scope that it wants to give.'),
      422: problem('The expiry is in the past.'),
      503: problem('The database or the tag clock does not answer.'),
    },
  });
  app.post('/v1/admin/keys', async (c) => {
    const body = await readJson(c.req.raw, { bytesMax: BODY_BYTES_MAX, types: ['application/json'] });
    const { name, scopes, claims, expiresAt, quotas } = parsed(NewKey, body);
    const holder = holderOf(c);
    assertOwn(holder, scopes);
    const expiresAtMs = expiresAt === undefined ? null : Date.parse(expiresAt);
    if (expiresAtMs !== null && expiresAtMs <= systemNow())
      throw new Failure('unprocessable', 'The expiry is in the past.', { pointer: '/expiresAt' });
    const wanted = {
      name,
      scopes: [...new Set(scopes)],
      claims,
      expiresAtMs,
      quotas: given(quotas),
      by: holder.id,
      principal: auditingOwn(c),
    };
    return issued(c, await keysOf(c).create(wanted), 201);
  });
}

function registerReads(app: OpenAPIHono<AppEnv>, keysOf: PortsOf<KeyPorts>): void {
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/admin/keys',
    operationId: 'listKeys',
    summary: 'Lists the keys without their secrets, the newest first, also those that are revoked',
    tags: ['admin'],
    security: keySecurity,
    request: { query: Page },
    responses: {
      200: json(
        'Pass `next` as `before` to get the next page; it is null on the last page.',
        z.object({ keys: z.array(Shown), next: z.int().nullable() }),
      ),
      503: problem('The database does not answer.'),
    },
  });
  app.get('/v1/admin/keys', async (c) => {
    const { before, limit } = parsed(Page, c.req.query());
    const keys = await keysOf(c).list({ before, limit });
    const next = keys.length === limit ? (keys.at(-1)?.seq ?? null) : null;
    return c.json({ keys: keys.map(shown), next }, 200, NOT_STORED);
  });
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/admin/keys/{id}',
    operationId: 'getKey',
    summary: 'Shows a key without its secret',
    tags: ['admin'],
    security: keySecurity,
    request: { params: IdParameter },
    responses: {
      200: json('The key.', Shown),
      404: problem('There is no such key.'),
      503: problem('The database does not answer.'),
    },
  });
  app.get('/v1/admin/keys/:id', async (c) => c.json(shown(await keyAt(c, keysOf(c))), 200, NOT_STORED));
}

function registerRotation(app: OpenAPIHono<AppEnv>, keysOf: PortsOf<KeyPorts>): void {
  app.openAPIRegistry.registerPath({
    method: 'post',
    path: '/v1/admin/keys/{id}/rotate',
    operationId: 'rotateKey',
    summary: 'Gives a key a new secret, and shows it once; the old one stays valid for the overlap',
    tags: ['admin'],
    security: keySecurity,
    request: {
      params: IdParameter,
      body: { required: false, content: { 'application/json': { schema: Rotation } } },
    },
    responses: {
      200: json('The new secret is valid.', WithSecret, ['Millrace-Token']),
      403: problem('The caller lacks `keys:write`, or a scope of the key.'),
      404: problem('There is no such key.'),
      409: problem('The key was revoked or has expired.'),
      503: problem('The database or the tag clock does not answer.'),
    },
  });
  app.post('/v1/admin/keys/:id/rotate', async (c) => {
    const body = await readOptionalJson(c.req.raw, { bytesMax: BODY_BYTES_MAX, types: ['application/json'] });
    const { overlapS } = parsed(Rotation, body);
    const ports = keysOf(c);
    const holder = holderOf(c);
    const { id, scopes } = await keyAt(c, ports);
    assertOwn(holder, scopes);
    return issued(c, await ports.rotate(id, systemNow() + overlapS * 1000, auditingOwn(c)), 200);
  });
}

function registerRevocation(app: OpenAPIHono<AppEnv>, keysOf: PortsOf<KeyPorts>): void {
  app.openAPIRegistry.registerPath({
    method: 'delete',
    path: '/v1/admin/keys/{id}',
    operationId: 'revokeKey',
    summary: 'Revokes a key for good',
    tags: ['admin'],
    security: keySecurity,
    request: { params: IdParameter },
    responses: {
      204: {
        headers: headersOf(['Millrace-Token']),
        description:
          'Revoked, now or earlier. Requests with `Millrace-Consistency: strong` are refused at once, all others within 2 s.',
      },
      404: problem('There is no such key.'),
      503: problem('The database or the tag clock does not answer. You can safely send the request again.'),
    },
  });
  app.delete('/v1/admin/keys/:id', async (c) => {
    const id = c.req.param('id');
    if (!isKeyId(id)) throw noKey();
    const token = await keysOf(c).revoke(id, auditingOwn(c));
    return c.body(null, 204, { 'millrace-token': formatToken(token) });
  });
}

const NOT_STORED = { 'cache-control': 'no-store' };

/** A caller gives only what it has: otherwise `keys:write` would be every scope. @throws Failure `insufficient_scope` */
function assertOwn({ scopes: own }: Holder, scopes: readonly Scope[]): void {
  const missing = scopes.filter((scope) => !own.has(scope));
  if (missing.length === 0) return;
  throw new Failure(
    'insufficient_scope',
    `A key gives only scopes that it has itself. This one lacks ${missing.join(', ')}.`,
    { pointer: '/scopes' },
  );
}

async function keyAt(c: Context<AppEnv>, ports: KeyPorts): Promise<StoredKey> {
  const id = c.req.param('id') ?? '';
  const key = isKeyId(id) ? await ports.find(id) : null;
  if (key === null) throw noKey();
  return key;
}

function noKey(): Failure {
  return new Failure('not_found', 'There is no key with this id. GET /v1/admin/keys lists them.', {
    pointer: 'id',
  });
}

function issued(c: Context<AppEnv>, { stored, text, token }: IssuedKey, status: 200 | 201): Response {
  return c.json({ ...shown(stored), key: text }, status, {
    ...NOT_STORED,
    'millrace-token': formatToken(token),
  });
}

/** Without what is not stated. */
function given({ day, month }: z.output<typeof Quotas>): KeyQuotas {
  return { ...(day === undefined ? {} : { day }), ...(month === undefined ? {} : { month }) };
}

function shown(key: StoredKey): z.output<typeof Shown> {
  const time = (atMs: number | null) => (atMs === null ? null : new Date(atMs).toISOString());
  return {
    id: key.id,
    name: key.name,
    scopes: key.scopes,
    claims: key.claims,
    createdAt: new Date(key.createdAtMs).toISOString(),
    createdBy: key.createdBy,
    expiresAt: time(key.expiresAtMs),
    lastUsedAt: time(key.lastUsedAtMs),
    previousValidUntil: time(key.previousUntilMs),
    revokedAt: time(key.revokedAtMs),
    quotas: { day: key.quotaDay, month: key.quotaMonth },
  };
}
