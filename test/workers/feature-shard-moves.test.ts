import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeAll, expect, it } from 'vitest';
import type { FoldableEvent } from '../../src/features/fold.ts';
import { askEveryShard, KnownMoves, moveIn, shardOf, shardsOf } from '../../src/features/layout.ts';
import { throwingMoves } from '../../src/features/moved-answers.ts';
import { foldEvents, readFeatures } from '../../src/features/shards.ts';
import { catalog } from '../support/catalog/index.ts';
import { serveEntity } from '../support/workers/serve-features.ts';

const DAY_MS = 86_400_000;
/** Noon of today: a shard keeps what reads as of its own day need. */
const NOW = (Math.floor(Date.now() / DAY_MS) + 0.5) * DAY_MS;
const KEYS = Array.from({ length: 12 }, (_, index) => `moved-${index}`);
const RUN = '33333333-3333-4333-8333-333333333333';
const TO = 16;

function bought(seq: number): FoldableEvent {
  const customerId = KEYS[seq % KEYS.length] ?? '';
  const data = { invoice: 'A', sku: `S${seq % 3}`, quantity: 2, unitPrice: 1.5, customerId, country: 'UK' };
  return { seq, type: 'shop.purchase.v1', occurredAt: NOW - seq, data };
}

const raw = (shard: string) => env.FEATURE_SHARD.getByName(shard);
const named = (shard: string) => throwingMoves(raw(shard));
/** The shards as an isolate uses them that knows of no move. */
const shardsFor = (moves = new KnownMoves()) => ({
  moves,
  fold: async (shard: string, entity: string, events: readonly FoldableEvent[], copiedTo?: number) =>
    await named(shard).fold(shard, entity, [...events], copiedTo),
  read: async (shard: string, entity: string, keys: readonly string[], now: number) =>
    await named(shard).read(entity, [...keys], now),
});
const features = catalog.features.filter(({ entity }) => entity.name === 'customer');
const read = (moves?: KnownMoves) => readFeatures('customer', KEYS, NOW, shardsFor(moves));
const fold = (events: readonly FoldableEvent[], moves?: KnownMoves) =>
  foldEvents(features, events, shardsFor(moves));

beforeAll(async () => {
  await serveEntity('customer');
});

it('objects leave their keys to more objects across an eviction, and tell callers of before where they are', async () => {
  const stale = new KnownMoves();
  const history = Array.from({ length: 30 }, (_, seq) => bought(seq + 1));
  await fold(history, stale);
  const [old, next] = [shardsOf('customer'), shardsOf('customer', TO)];
  for (const shard of next) await named(shard).openBackfill('customer', RUN);
  for (const shard of old) await named(shard).openMove('customer', TO);
  const first = shardOf('customer', KEYS[0] ?? '');
  await evictDurableObject(raw(first));
  // What the object refuses survives the eviction and the call between two objects.
  const refused = await named(first)
    .fold(first, 'customer', [bought(12)])
    .then(() => undefined, moveIn);
  expect(refused).toEqual({ state: 'copied', shards: TO });
  // It crosses the call as an answer: the platform logs what an object throws as uncaught.
  const answered: unknown = await raw(first).fold(first, 'customer', [bought(12)]);
  expect(answered).toEqual({ shardMoved: { state: 'copied', shards: TO } });
  // An event that comes meanwhile is folded into both.
  const { parts } = await fold([bought(31)], stale);
  expect(parts.map(({ shard }) => shard).sort()).toEqual(
    [shardOf('customer', KEYS[7] ?? ''), shardOf('customer', KEYS[7] ?? '', TO)].sort(),
  );
  for (const shard of next) await named(shard).fill(shard, 'customer', history);
  const before = await read();
  for (const shard of next)
    await named(shard).serveFilled(
      'customer',
      RUN,
      features.map(({ name }) => name),
    );
  // One old object has left its keys, the others have not yet.
  expect(await named(first).endMove('customer', TO)).toBe(true);
  await evictDurableObject(raw(first));
  expect(await read(stale)).toEqual(before);
  for (const shard of old) expect(await named(shard).endMove('customer', TO)).toBe(true);
  for (const moves of [stale, new KnownMoves()]) expect(await read(moves)).toEqual(before);
  const left = await named(first)
    .read('customer', KEYS.slice(0, 1), NOW)
    .then(() => undefined, moveIn);
  expect(left).toEqual({ state: 'moved', shards: TO });
  await fold([bought(32)]);
  expect((await read(stale))[8]).toMatchObject({ purchases_30d: { value: 3 } });
});

it('an object that has left its keys deletes its cells in steps, and keeps where the keys are', async () => {
  const first = raw(shardOf('customer', KEYS[0] ?? ''));
  while (await runDurableObjectAlarm(first)) await new Promise((resolve) => setTimeout(resolve, 1));
  const rows = await runInDurableObject(first, (_, { storage: { sql } }) =>
    ['cells', 'folded', 'layers', 'generations'].map((table) =>
      Number(sql.exec(`select count(*) as rows from ${table}`).one()['rows']),
    ),
  );
  expect(rows).toEqual([0, 0, 0, 1]);
  const digests = await askEveryShard('customer', async (shard) => await named(shard).digest());
  expect(digests).toHaveLength(TO);
});
