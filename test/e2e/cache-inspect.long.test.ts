import { afterAll, beforeAll, expect, it } from 'vitest';
import * as z from 'zod';
import { eventually, KEY, type Stack, startStack } from '../support/node/stack.ts';

const Inspection = z.object({
  view: z.string(),
  partition: z.object({
    claim: z.string().nullable(),
    owner: z.string().nullable(),
    description: z.string(),
  }),
  clock: z.object({ seq: z.number() }).nullable(),
  tiers: z.array(
    z.object({
      tier: z.string(),
      state: z.string(),
      entry: z
        .object({
          judgement: z.string(),
          stamp: z.number(),
          ttlS: z.number(),
          isNotFound: z.boolean(),
          tags: z.array(
            z.object({
              tag: z.string().nullable(),
              changedAt: z.number().nullable(),
              isChanged: z.boolean(),
            }),
          ),
        })
        .nullable(),
    }),
  ),
});
const Issued = z.object({ key: z.string() });

let stack: Stack;
const keys: Record<string, string> = {};
beforeAll(async () => {
  stack = await startStack();
  await stack.sql(`insert into customers (id, country) values ('a', 'Alphaland'), ('b', 'Betaland')`);
  await stack.sql(`insert into products (sku, description, unit_price) values ('I1', 'Secret cup', 2)`);
  const key = async (name: string, claims: object, scopes: string[]) => {
    const { text } = await send('POST', '/v1/admin/keys', KEY, { name, claims, scopes });
    keys[name] = Issued.parse(JSON.parse(text)).key;
  };
  await key('a', { customer: 'a' }, ['data:read', 'operations:read']);
  await key('b', { customer: 'b' }, ['data:read', 'operations:read']);
  await key('operator', {}, ['operations:read']);
});
afterAll(async () => {
  await stack[Symbol.asyncDispose]();
});

async function send(method: string, path: string, key = KEY, json?: unknown) {
  return await stack.caller.as(key).ask(method, path, { json });
}
async function inspect(query: Record<string, string>, key = KEY) {
  const { status, text } = await send('GET', `/v1/admin/cache/inspect?${new URLSearchParams(query)}`, key);
  expect([status, text]).toEqual([200, text]);
  // Neither the body of an entry nor what could stand for it.
  expect(text).not.toMatch(/Secret cup|Alphaland|Betaland|etag|body/);
  const { tiers, ...rest } = Inspection.parse(JSON.parse(text));
  return { ...rest, memory: tiers.find(({ tier }) => tier === 'memory'), tiers };
}
const cached = (path: string, key = KEY) =>
  eventually(
    () => send('GET', path, key),
    ({ cache }) => cache.includes('; hit'),
  );

it('says why an entry is valid, and which tag changed after its fill, and when', async () => {
  const path = '/v1/products/I1';
  expect((await inspect({ path })).memory).toEqual({ tier: 'memory', state: 'none', entry: null });
  await cached(path);
  const before = await inspect({ path });
  expect(before.partition).toMatchObject({ claim: null, description: 'shared by all readers' });
  expect(before.memory?.entry).toMatchObject({ judgement: 'valid', isNotFound: false });
  const names = before.memory?.entry?.tags.map(({ tag }) => tag) ?? [];
  expect(names).toEqual(expect.arrayContaining(['product:I1', 'cache', 'cache:view:product']));
  expect(names).not.toContain(null);
  expect(before.tiers.map(({ tier }) => tier)).toEqual(['memory', 'colo', 'kv']);
  await send('POST', '/v1/admin/cache/purge', KEY, { tags: ['product:I1', 'other:1'] });
  const { memory, clock } = await inspect({ path });
  const entry = memory?.entry;
  expect(entry?.judgement).toBe('tag-changed');
  expect(entry?.stamp).toBe(before.memory?.entry?.stamp);
  const changed = entry?.tags.filter(({ isChanged }) => isChanged) ?? [];
  expect(changed).toEqual([{ tag: 'product:I1', changedAt: clock?.seq, isChanged: true }]);
  expect(changed[0]?.changedAt).toBeGreaterThan(entry?.stamp ?? 0);
});

it('says whose answer was inspected, and inspects no other', async () => {
  const path = '/v1/account';
  await cached(path, keys['a']);
  const ofA = await inspect({ path, owner: 'a' });
  expect(ofA.partition).toEqual({
    claim: 'customer',
    owner: 'a',
    description: 'the answer of readers with the claim "customer" = "a"',
  });
  expect(ofA.memory?.state).toBe('entry');
  const ofB = await inspect({ path, owner: 'b' });
  expect([ofB.partition.owner, ofB.memory?.state]).toEqual(['b', 'none']);
  const ofAll = await inspect({ path });
  expect([ofAll.partition.owner, ofAll.memory?.state]).toEqual([null, 'none']);
  expect(ofAll.partition.description).toContain('admits to all rows');
  // The row of a path is the owner itself, and all who may read it share its answer.
  await cached('/v1/customers/b', keys['b']);
  const ofRow = await inspect({ path: '/v1/customers/b' });
  expect(ofRow.partition).toMatchObject({ claim: 'customer', owner: 'b' });
  expect(ofRow.memory?.state).toBe('entry');
});

it('shows a caller who may not read an answer no names of its rows', async () => {
  const { memory } = await inspect({ path: '/v1/account', owner: 'a' }, keys['operator']);
  const named = memory?.entry?.tags.filter(({ tag }) => tag !== null).map(({ tag }) => tag) ?? [];
  expect(memory?.entry?.judgement).toBe('valid');
  expect(named.every((tag) => tag?.startsWith('cache'))).toBe(true);
  expect(named.length).toBeLessThan(memory?.entry?.tags.length ?? 0);
});

it('refuses a reader of some rows, a partition that the view does not have, and a path that is not cached', async () => {
  const ask = async (query: string, key = KEY) => {
    const { status, text } = await send('GET', `/v1/admin/cache/inspect?${query}`, key);
    return [status, JSON.parse(text).code];
  };
  expect(await ask('path=/v1/account&owner=b', keys['a'])).toEqual([403, 'rows_not_limited']);
  expect(await ask('path=/v1/products/I1&owner=a')).toEqual([422, 'unprocessable']);
  expect(await ask('path=/v1/customers/b&owner=a')).toEqual([422, 'unprocessable']);
  expect(await ask('path=/v1/products/I1&principal=key:x')).toEqual([422, 'unprocessable']);
  expect(await ask('path=/v1/customers/b/recommendations&owner=a')).toEqual([422, 'unprocessable']);
  expect(await ask('path=/v1/quality')).toEqual([404, 'not_found']);
  expect((await ask(''))[0]).toBe(400);
});
