import { SELF } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeAll, expect, it } from 'vitest';
import { formatToken } from '../../src/cache/clock/clock.ts';
import { tagHashes } from '../../src/cache/clock/tag-hash.ts';
import { EVERYTHING } from '../../src/cache/entry.ts';
import { featureTag, groupOf, partOf, readyTag } from '../../src/features/groups.ts';
import { shardsOf } from '../../src/features/layout.ts';
import { READY } from '../../src/features/open-folds.ts';
import { shardOf } from '../../src/features/shards.ts';
import { purchases } from '../support/catalog/features.ts';
import { serveEntity } from '../support/workers/serve-features.ts';

const AN_HOUR_AGO = Date.now() - 3_600_000;
let seq = 0;

async function read(keys: readonly string[], headers: Record<string, string> = {}) {
  const answer = await SELF.fetch('https://millrace.test/v1/features/read', {
    method: 'POST',
    headers: { authorization: 'Bearer test-key', 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ entity: 'customer', keys, features: ['purchases_30d'] }),
  });
  const { results } = (await answer.json()) as {
    results: { features: { purchases_30d: { value: number } } }[];
  };
  return {
    token: answer.headers.get('millrace-token'),
    status: answer.headers.get('cache-status'),
    values: results.map(({ features }) => features.purchases_30d.value),
  };
}

/** Folds a purchase without an invalidation, so that only a call of the shard shows it. */
async function fold(customerId: string): Promise<void> {
  const shard = shardOf('customer', customerId);
  const data = { invoice: 'A', sku: 'A', quantity: 1, unitPrice: 1, customerId, country: 'UK' };
  seq += 1;
  await env.FEATURE_SHARD.getByName(shard).fold(shard, 'customer', [
    { seq: 7_000 + seq, type: 'shop.purchase.v1', occurredAt: AN_HOUR_AGO, data },
  ]);
}

const invalidate = (tag: string) => env.TAG_CLOCK.getByName('root').invalidateTags(tagHashes([tag]));
/** Invalidates what a purchase changes of a key, and tells its shard, as the consumer does. */
async function announce(key: string) {
  const part = partOf(groupOf(purchases), key);
  const at = await invalidate(featureTag('customer', part));
  const announcement = { keys: [part], fold: seq, ready: false };
  await env.FEATURE_SHARD.getByName(shardOf('customer', key)).announced(announcement, at);
  return at;
}
const STRONG = { 'millrace-consistency': 'strong' };
// Files share an isolate, whose mirror may still be one of another file's clock.
beforeAll(async () => {
  await serveEntity('customer');
  // As the backfill does at its end: until then, each first reader of a shard invalidates the rows of the entity.
  const at = await invalidate(readyTag('customer'));
  for (const shard of shardsOf('customer')) await env.FEATURE_SHARD.getByName(shard).announced(READY, at);
  await read(['r0'], STRONG);
});
const HIT = 'millrace; hit; detail=memory';
const MISS = 'millrace; fwd=uri-miss';
const PARTIAL = 'millrace; fwd=partial';

it('answers a repeated read without a call of a shard, until an event changes one of its keys, and then reads that key alone', async () => {
  expect(await read(['r1', 'r2'])).toMatchObject({ status: MISS, values: [0, 0] });
  await fold('r1');
  await fold('r2');
  expect(await read(['r1', 'r2'])).toMatchObject({ status: HIT, values: [0, 0] });

  const token = await announce('r1');
  // The other key is not read again, although its shard has another value.
  const session = { 'millrace-token': formatToken(token) };
  expect(await read(['r1', 'r2', 'r1'], session)).toMatchObject({ status: PARTIAL, values: [1, 0, 1] });
  expect(await read(['r1', 'r2'])).toMatchObject({ status: HIT, values: [1, 0] });

  await announce('r2');
  expect(await read(['r1', 'r2'], STRONG)).toMatchObject({ status: PARTIAL, values: [1, 1] });
  expect(await read(['r1', 'r2'], STRONG)).toMatchObject({ status: HIT, values: [1, 1] });
});

it('invalidates a fold that it shows before anybody else has, and gives a token that covers it', async () => {
  await read(['w1']);
  await fold('w2');
  const before = await env.TAG_CLOCK.getByName('root').invalidateTags([]);
  const shown = await read(['w2']);
  expect(shown).toMatchObject({ status: MISS, values: [1] });
  expect(Number(shown.token?.split('.').at(-1))).toBe(before.seq + 1);
  const shard = env.FEATURE_SHARD.getByName(shardOf('customer', 'w2'));
  const { folds } = await shard.readWithFolds('customer', ['w2'], Date.now());
  expect(folds).toMatchObject({ open: [], at: [{ epoch: before.epoch, seq: before.seq + 1 }] });
  // The next answer, from the shard or from memory, names no earlier moment, and invalidates nothing.
  for (const values of [[1], [1]]) {
    const next = await read(['w2'], { 'millrace-token': shown.token ?? '' });
    expect([next.values, next.token]).toEqual([values, shown.token]);
  }
});

it('reads the shards again after a purge of everything', async () => {
  await read(['p1']);
  await fold('p1');
  await invalidate(EVERYTHING);
  const answer = await read(['p1'], STRONG);
  expect(answer).toMatchObject({ status: MISS, values: [1] });
});

it('uses a row that was filled by one set of features for another', async () => {
  const entities = { customer_id: ['f1'] };
  const feast = async (features: string[]) =>
    await SELF.fetch('https://millrace.test/get-online-features', {
      method: 'POST',
      headers: { authorization: 'Bearer test-key', 'content-type': 'application/json' },
      body: JSON.stringify({ features, entities }),
    });
  expect((await feast(['customer:items'])).headers.get('cache-status')).toBe(MISS);
  expect((await feast(['customer:purchases_30d'])).headers.get('cache-status')).toBe(HIT);
  expect((await read(['f1'])).status).toBe(HIT);
});

it('refuses a token of another epoch', async () => {
  const answer = await SELF.fetch('https://millrace.test/v1/features/read', {
    method: 'POST',
    headers: {
      authorization: 'Bearer test-key',
      'content-type': 'application/json',
      'millrace-token': '00000000-0000-4000-8000-000000000000.1',
    },
    body: JSON.stringify({ entity: 'customer', keys: ['r1'] }),
  });
  expect(answer.status).toBe(412);
});
