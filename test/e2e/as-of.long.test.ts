import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Stack, startStack } from '../support/node/stack.ts';

/** Another writer commits, and nobody relays: without a write or an event through the API the relay is not armed, and nobody looks at the outbox regularly. */

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({ OUTBOX_WATCH_MS: '0' });
});
afterAll(async () => {
  await stack[Symbol.asyncDispose]();
});

async function get(path: string, headers: Record<string, string> = {}) {
  const response = await stack.fetch(path, { headers });
  const [epoch = '', seq] = (response.headers.get('millrace-token') ?? '').split('.');
  const token = { epoch, seq: Number(seq) };
  const cache = response.headers.get('cache-status') ?? '';
  return { status: response.status, cache, token, json: (await response.json()) as Record<string, unknown> };
}

const strong = { 'millrace-consistency': 'strong' };

/** Where the root clock stands. */
async function rootSeq(): Promise<number> {
  return (await get('/v1/products/none', strong)).token.seq;
}

async function writeProduct(sku: string, description: string): Promise<void> {
  await stack.sql(
    `with written as (
       insert into products (sku, description, unit_price) values ($1, $2, 1)
       on conflict (sku) do update set description = excluded.description
     )
     insert into millrace.outbox (tags) values (array['product:' || $1, 'product'])`,
    [sku, description],
  );
}

it('every later answer to a token shows what the first answer showed before the relay had handled it', async () => {
  await writeProduct('1', 'Before');
  const list = '/v1/products?limit=10';
  await get(list);
  // The first fill has invalidated the change that it shows, and with it its own entry; this one stays.
  expect((await get(list, strong)).json['products']).toMatchObject([{ sku: '1', description: 'Before' }]);
  expect((await get(list)).cache).toContain('; hit');
  const before = await rootSeq();

  await writeProduct('1', 'After');
  // Nobody has invalidated the change, so the list is still held to be right.
  expect((await get(list)).cache).toContain('; hit');
  const page = await get('/v1/products/1');
  expect(page.json).toMatchObject({ description: 'After' });
  expect(page.token.seq).toBe(before + 1);

  const session = { 'millrace-token': `${page.token.epoch}.${page.token.seq}` };
  expect((await get(list, session)).json['products']).toMatchObject([{ sku: '1', description: 'After' }]);
  expect(
    await stack.sql('select count(*)::int as pending from millrace.outbox where relayed_at is null'),
  ).toEqual([{ pending: 2 }]);
});

it('an answer does not invalidate pending changes that do not touch it', async () => {
  const before = await rootSeq();
  await stack.sql(`insert into millrace.outbox (tags) values (array['product:elsewhere'])`);
  const missing = await get('/v1/products/never-read-before');
  expect(missing.cache).toContain('fwd=uri-miss');
  expect(await rootSeq()).toBe(before);
});

it('the token of a hit is at least the token of its fill', async () => {
  const { token } = await get('/v1/products/1', strong);
  const relayedSeq = token.seq + 5;
  await stack.sql(
    `insert into millrace.outbox (tags, relayed_at, relayed_epoch, relayed_seq)
     values (array['product:relayed'], now(), $1, $2)`,
    [token.epoch, relayedSeq],
  );
  const path = '/v1/products/read-after-the-relay';
  expect((await get(path)).token).toEqual({ epoch: token.epoch, seq: relayedSeq });
  const hit = await get(path);
  expect(hit.cache).toContain('; hit');
  expect(hit.token).toEqual({ epoch: token.epoch, seq: relayedSeq });
});
