import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { eventually, KEY, type Stack, startStack, withinBound } from '../support/node/stack.ts';

const Issued = z.object({ id: z.string(), key: z.string() });
const CLOSED = '/v1/customers?country=Germany';
const BOUND_MS = 2_000;

let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(async () => {
  await stack[Symbol.asyncDispose]();
});

const STRONG = { 'millrace-consistency': 'strong' };

async function send(method: string, path: string, key: string, json?: unknown, headers = {}) {
  return await stack.caller.as(key).ask(method, path, { json, headers });
}
const read = async (key: string, more = {}) => (await send('GET', CLOSED, key, undefined, more)).status;
const create = async (scopes: string[], more = {}, by = KEY) => {
  const { status, json } = await send('POST', '/v1/admin/keys', by, { name: 'a test', scopes, ...more });
  expect([status, json]).toMatchObject([201, {}]);
  return Issued.parse(json);
};

describe('a key', () => {
  it('is shown once, and opens what its scopes name', async () => {
    const { id, key } = await create(['data:read']);
    expect(await read(key)).toBe(200);
    const hit = await send('GET', CLOSED, key);
    expect(hit.headers.get('cache-status')).toContain('; hit');
    expect(hit.headers.get('cache-control')).toContain('private');

    const { json: one } = await send('GET', `/v1/admin/keys/${id}`, KEY);
    const { json: all } = await send('GET', '/v1/admin/keys?limit=200', KEY);
    expect(one).toMatchObject({ id, name: 'a test', scopes: ['data:read'], createdBy: 'bootstrap' });
    expect(all['keys']).toContainEqual(expect.objectContaining({ id }));
    const [row] = await stack.sql('select * from millrace.api_keys where id = $1', [id]);
    for (const shown of [one, all, row]) {
      expect(JSON.stringify(shown)).not.toContain(key);
      expect(JSON.stringify(shown)).not.toContain(key.slice(21, 64));
    }
  });

  it('is refused with 403 where it lacks the scope, and 404 where there is no route', async () => {
    const { key } = await create(['data:read', 'keys:write']);
    for (const [method, path, scope] of [
      ['POST', '/v1/events', 'events:write'],
      ['PUT', '/v1/products/X', 'data:write'],
      ['POST', '/v1/predictions/x', 'predictions:run'],
      ['GET', '/v1/admin/pipeline', 'operations:read'],
      ['POST', '/v1/admin/outbox/sweep', 'operations:write'],
      ['PUT', '/v1/admin/models/x/champion', 'models:write'],
      ['GET', '/metrics', 'operations:read'],
    ] as const) {
      const { status, json, headers } = await send(method, path, key);
      expect([path, status, json['code']]).toEqual([path, 403, 'insufficient_scope']);
      expect(json['detail']).toContain(scope);
      expect(headers.get('www-authenticate')).toContain('insufficient_scope');
    }
    expect((await send('GET', '/v1/nothing', key)).status).toBe(404);
    const events = await create(['events:write']);
    for (const path of [CLOSED, '/v1/customers/none']) {
      const { status, json } = await send('GET', path, events.key);
      expect([status, json['code']]).toEqual([403, 'insufficient_scope']);
    }
    const features = { entity: 'nothing', keys: ['x'] };
    expect((await send('POST', '/v1/features/read', events.key, features)).status).toBe(403);
  });

  it('gives only the scopes that it has', async () => {
    const { key } = await create(['keys:write', 'data:read']);
    const child = await create(['data:read'], {}, key);
    expect(await read(child.key)).toBe(200);
    const wanted = { name: 'more', scopes: ['data:read', 'operations:write'] };
    const refused = await send('POST', '/v1/admin/keys', key, wanted);
    expect([refused.status, refused.json['code']]).toEqual([403, 'insufficient_scope']);
    const strong = await create(['operations:write']);
    expect((await send('POST', `/v1/admin/keys/${strong.id}/rotate`, key, {})).status).toBe(403);
  });

  it('notes its last use', async () => {
    const { id, key } = await create(['data:read']);
    await read(key);
    await eventually(
      async () => (await send('GET', `/v1/admin/keys/${id}`, KEY)).json['lastUsedAt'],
      (at) => typeof at === 'string',
    );
  });

  it('that is mistyped, or does not exist, is refused with 401', async () => {
    const { key } = await create(['data:read']);
    await send('GET', CLOSED, key);
    const other = `${key.slice(0, 4)}${'0'.repeat(16)}${key.slice(20)}`;
    for (const wrong of [`${key}0`, key.slice(0, -1), other, `${key.slice(0, 30)}AAAA${key.slice(34)}`]) {
      const { status, json, headers } = await send('GET', CLOSED, wrong);
      expect([status, json['code']]).toEqual([401, 'unauthorized']);
      expect(headers.get('www-authenticate')).toContain('Bearer');
    }
  });
});

it('expires', async () => {
  const { id, key } = await create(['data:read'], { expiresAt: new Date(Date.now() + 60_000).toISOString() });
  expect(await read(key)).toBe(200);
  await stack.sql(`update millrace.api_keys set expires_at = now() - interval '1 second' where id = $1`, [
    id,
  ]);
  // A rotation is refused, since the key has ended.
  const { status, json } = await send('POST', `/v1/admin/keys/${id}/rotate`, KEY, {});
  expect([status, json['code']]).toEqual([409, 'key_ended']);
  // A revocation invalidates the record, so that the isolate reads the key again.
  const expired = await create(['data:read'], { expiresAt: new Date(Date.now() + 300).toISOString() });
  await eventually(
    () => send('GET', CLOSED, expired.key),
    (answer) => answer.status === 401 && String(answer.json['detail']).includes('expired'),
  );
});

describe('a revocation', () => {
  it('is effective at once for a strong request, and within the bound for any other', async () => {
    const { id, key } = await create(['data:read']);
    expect(await read(key)).toBe(200);
    const revoked = await send('DELETE', `/v1/admin/keys/${id}`, KEY);
    expect([revoked.status, revoked.headers.get('millrace-token')]).toEqual([204, expect.any(String)]);
    expect(await read(key, STRONG)).toBe(401);

    const second = await create(['data:read']);
    expect(await read(second.key)).toBe(200);
    expect((await send('DELETE', `/v1/admin/keys/${second.id}`, KEY)).status).toBe(204);
    await withinBound(
      () => read(second.key),
      (status) => status === 401,
      BOUND_MS,
    );
    expect((await send('DELETE', `/v1/admin/keys/${second.id}`, KEY)).status).toBe(204);
    expect((await send('DELETE', `/v1/admin/keys/${'0'.repeat(16)}`, KEY)).status).toBe(404);
  });

  it('writes its outbox row and its audit entry in its transaction', async () => {
    const { id } = await create(['data:read']);
    await send('DELETE', `/v1/admin/keys/${id}`, KEY);
    const rows = await stack.sql(`select 1 from millrace.outbox where tags = array[$1]`, [
      `millrace/key:${id}`,
    ]);
    expect(rows.length).toBe(2);
    const audited = await stack.sql(
      `select action, principal as by from millrace.audit_log where target = $1 order by id`,
      [id],
    );
    expect(audited).toEqual([
      { action: 'key.create', by: 'key:bootstrap' },
      { action: 'key.revoke', by: 'key:bootstrap' },
    ]);
  });
});

it('a rotated key has both secrets for the overlap', async () => {
  const { id, key } = await create(['data:read']);
  const rotate = async (overlapS: number) =>
    Issued.parse((await send('POST', `/v1/admin/keys/${id}/rotate`, KEY, { overlapS })).json);
  const rotated = await rotate(3_600);
  expect(rotated.id).toBe(id);
  // The isolate remembers the record from before the rotation, and the new secret is valid at once, for any reader.
  expect([await read(rotated.key), await read(key)]).toEqual([200, 200]);
  expect([await read(key, STRONG), await read(rotated.key, STRONG)]).toEqual([200, 200]);
  const again = await rotate(0);
  expect(await read(again.key, STRONG)).toBe(200);
  for (const old of [key, rotated.key]) expect(await read(old, STRONG)).toBe(401);
});

describe('bad input', () => {
  it.each([
    [{ name: 'x', scopes: [] }, '/scopes'],
    [{ name: 'x', scopes: ['everything'] }, '/scopes/0'],
    [{ name: '', scopes: ['data:read'] }, '/name'],
    [{ name: 'x', scopes: ['data:read'], expiresAt: 'soon' }, '/expiresAt'],
  ])('%j is a 400', async (body, pointer) => {
    const { status, json } = await send('POST', '/v1/admin/keys', KEY, body);
    expect([status, json['code'], json['pointer']]).toEqual([400, 'invalid_request', pointer]);
  });

  it('is an expiry in the past, too, which no schema states', async () => {
    const body = { name: 'x', scopes: ['data:read'], expiresAt: '2020-01-01T00:00:00Z' };
    const { status, json } = await send('POST', '/v1/admin/keys', KEY, body);
    expect([status, json['code'], json['pointer']]).toEqual([422, 'unprocessable', '/expiresAt']);
  });
});

it('pages the list from the newest to the oldest', async () => {
  const ids: unknown[] = [];
  let next: unknown = null;
  do {
    const { json } = await send(
      'GET',
      `/v1/admin/keys?limit=3${next === null ? '' : `&before=${next}`}`,
      KEY,
    );
    ids.push(...z.array(z.object({ id: z.string() })).parse(json['keys']));
    next = json['next'];
  } while (next !== null);
  const rows = await stack.sql('select id from millrace.api_keys order by seq desc');
  expect(ids).toEqual(rows.map(({ id }) => expect.objectContaining({ id })));
});

it('without the database, a known key stays valid and an unknown one is a 503', async () => {
  const known = await create(['data:read']);
  const unknown = await create(['data:read']);
  // Until its creation is relayed, a key may be invalidated once more.
  await eventually(
    () => stack.sql('select 1 from millrace.outbox where relayed_at is null'),
    (pending) => pending.length === 0,
  );
  expect(await read(known.key, STRONG)).toBe(200);
  await stack.stopDatabase();
  expect(await read(known.key)).toBe(200);
  const { status, json } = await send('GET', CLOSED, unknown.key);
  expect([status, json['code']]).toEqual([503, 'database_unavailable']);
  expect((await stack.fetch('/v1/products/NONE')).status).toBe(404);
});
