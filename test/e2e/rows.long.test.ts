import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { KEY, type Stack, startStack } from '../support/node/stack.ts';

const Issued = z.object({ id: z.string(), key: z.string() });
/** A path, a query order, an encoding and headers that all ask for the row of `b`. */
const OF_B: readonly [string, Record<string, string>?][] = [
  ['/v1/customers/b'],
  ['/v1/customers/%62'],
  ['/v1/customers/b', { 'millrace-consistency': 'strong' }],
  ['/v1/customers/b', { 'millrace-consistency': 'eventual' }],
  ['/v1/customers/b', { 'x-customer': 'a', 'x-forwarded-user': 'a' }],
  ['/v1/customers/b/purchases'],
  ['/v1/customers/b/purchases?limit=5'],
  ['/v1/customers/b/recommendations'],
  ['/v1/customers/b/expected-spend'],
];

let stack: Stack;
const keys: Record<string, string> = {};
beforeAll(async () => {
  stack = await startStack();
  for (const [id, country] of [
    ['a', 'Alpha'],
    ['b', 'Beta'],
    ['*', 'Star'],
  ] as const)
    await stack.sql('insert into customers (id, country) values ($1, $2)', [id, country]);
  const scopes = ['data:read', 'predictions:run', 'operations:read', 'operations:write', 'keys:write'];
  for (const [name, claims] of Object.entries({
    a: { customer: 'a' },
    b: { customer: 'b' },
    all: { customer: '*' },
    other: { tenant: 't' },
    none: {},
  })) {
    const { json } = await send('POST', '/v1/admin/keys', KEY, { name, claims, scopes });
    keys[name] = Issued.parse(json).key;
  }
});
afterAll(async () => {
  await stack[Symbol.asyncDispose]();
});

async function send(
  method: string,
  path: string,
  key: string,
  json?: unknown,
  headers: Record<string, string> = {},
) {
  return await stack.caller.as(key).ask(method, path, { json, headers });
}
const by = (name: string) => keys[name] ?? '';
const get = (path: string, name: string, more?: Record<string, string>) =>
  send('GET', path, by(name), undefined, more);
const codeOf = async (answer: Promise<{ status: number; json: Record<string, unknown> }>) => {
  const { status, json } = await answer;
  return [status, json['code']];
};

describe('a key with a claim', () => {
  it('reads its own rows, and shares the cached answer with readers of all rows', async () => {
    expect((await get('/v1/customers/a', 'all')).status).toBe(200);
    const own = await get('/v1/customers/a', 'a');
    expect([own.status, own.json['country']]).toEqual([200, 'Alpha']);
    expect(own.headers.get('cache-status')).toContain('; hit');
  });

  it.each(OF_B)('gets 403 for %s %j of another, also while it is cached', async (path, more) => {
    await get(path, 'b', more);
    await get(path, 'b', more);
    for (const name of ['a', 'a']) expect(await codeOf(get(path, name, more))).toEqual([403, 'outside_rows']);
    const missing = path.replace(/%62|\bb\b/, 'nobody');
    expect(await codeOf(get(missing, 'a', more))).toEqual([403, 'outside_rows']);
  });

  it('has an answer of its own where the path does not say whose rows it reads', async () => {
    for (const more of [{}, {}, { 'millrace-consistency': 'strong' }, { 'millrace-consistency': 'eventual' }])
      for (const [name, id] of [
        ['a', 'a'],
        ['b', 'b'],
      ] as const) {
        const { status, json } = await get('/v1/account', name, more);
        expect([status, json['id']]).toEqual([200, id]);
      }
    expect((await get('/v1/account', 'a')).headers.get('cache-status')).toContain('; hit');
    expect((await get('/v1/account', 'all')).status).toBe(404);
    expect((await send('GET', '/v1/account', KEY)).status).toBe(404);
  });

  it('reads features and predictions of its own rows alone', async () => {
    const features = (name: string, wanted: string[]) =>
      send('POST', '/v1/features/read', by(name), { entity: 'customer', keys: wanted });
    expect((await features('a', ['a'])).status).toBe(200);
    const both = await features('a', ['a', 'b']);
    expect([both.status, both.json['code'], both.json['pointer']]).toEqual([403, 'outside_rows', '/keys/1']);
    expect(await codeOf(features('none', ['a']))).toEqual([403, 'claim_missing']);
    const product = { entity: 'product', keys: ['P'] };
    expect(await codeOf(send('POST', '/v1/features/read', by('a'), product))).toEqual([
      403,
      'rows_not_limited',
    ]);
    const predict = (name: string, model: string, key: string) =>
      send('POST', `/v1/predictions/${model}`, by(name), { key, request: { hour: 1 } });
    expect(await codeOf(predict('a', 'mood', 'b'))).toEqual([403, 'outside_rows']);
    expect((await predict('a', 'mood', 'a')).status).not.toBe(403);
    const rank = (name: string, key: string) => send('POST', '/v1/predictions/ranker', by(name), { key });
    expect(await codeOf(rank('a', 'b'))).toEqual([403, 'outside_rows']);
    expect(await codeOf(rank('none', 'b'))).toEqual([403, 'claim_missing']);
  });

  it.each([
    ['GET', '/v1/customers?country=Beta'],
    ['GET', '/v1/changes'],
    ['GET', '/v1/events/%2Fsource/id'],
    ['GET', '/v1/lineage/event/%2Fsource/id'],
    ['GET', '/v1/lineage/events'],
    ['GET', '/v1/quality'],
    ['GET', '/metrics'],
    ['GET', '/v1/admin/quarantine'],
    ['GET', '/v1/admin/audit'],
    ['POST', '/v1/admin/outbox/sweep'],
    ['POST', '/v1/admin/keys'],
  ])('gets 403 from %s %s, which is not limited to rows', async (method, path) => {
    expect(await codeOf(send(method, path, by('a')))).toEqual([403, 'rows_not_limited']);
  });

  it('reads what is public', async () => {
    expect((await get('/v1/products', 'a')).status).toBe(200);
  });
});

it.each(['none', 'other'])('the key "%s" without the claim reads no rows', async (name) => {
  const code = name === 'none' ? 'claim_missing' : 'claim_missing';
  for (const path of ['/v1/customers/a', '/v1/account', '/v1/customers/a/recommendations'])
    expect(await codeOf(get(path, name))).toEqual([403, code]);
});

it('claims of a key are shown, and bad ones are refused', async () => {
  const { json } = await send('GET', '/v1/admin/keys', KEY);
  expect(json['keys']).toContainEqual(expect.objectContaining({ name: 'a', claims: { customer: 'a' } }));
  for (const claims of [
    { customer: 7 },
    { customer: '' },
    { 'a b': 'x' },
    { customer: 'x'.repeat(257) },
    'a',
  ]) {
    const { status } = await send('POST', '/v1/admin/keys', KEY, {
      name: 'x',
      scopes: ['data:read'],
      claims,
    });
    expect(status).toBe(400);
  }
});
