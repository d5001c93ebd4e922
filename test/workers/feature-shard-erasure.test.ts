import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeAll, expect, it } from 'vitest';
import { forgetKey, noteErased, rowsOfKey } from '../../durable-objects/feature-shard/erased.ts';
import { CellStore } from '../../durable-objects/feature-shard/store.ts';
import { cellsOf, type FoldableEvent } from '../../src/features/fold.ts';
import { shardOf } from '../../src/features/shards.ts';
import { catalog } from '../support/catalog/index.ts';
import { CountedStorage } from '../support/worker/counted-storage.ts';
import { serveEntity, serveFeatures } from '../support/workers/serve-features.ts';

const DAY_MS = 86_400_000;
const NOW = (Math.floor(Date.now() / DAY_MS) + 0.5) * DAY_MS;
const ERASED = '17850';
const SHARD = shardOf('customer', ERASED);
const OTHER =
  Array.from({ length: 200 }, (_, index) => `other-${index}`).find(
    (key) => shardOf('customer', key) === SHARD,
  ) ?? '';
const RUN = '11111111-1111-4111-8111-111111111111';
const shard = () => env.FEATURE_SHARD.getByName(SHARD);

function bought(seq: number, customerId: string): FoldableEvent {
  const data = { invoice: 'A', sku: `S${seq % 3}`, quantity: 2, unitPrice: 1.5, customerId, country: 'UK' };
  return { seq, type: 'shop.purchase.v1', occurredAt: NOW - seq, data };
}
const own = [bought(1, ERASED), bought(2, ERASED)];
const late = bought(3, ERASED);
const others = [bought(4, OTHER), bought(5, OTHER)];

async function flip() {
  for (;;) {
    const step = await shard().flip('customer', RUN);
    if (step.state !== 'comparing') return step.state;
  }
}

beforeAll(async () => {
  await serveEntity('customer');
});

it('removes a key from every generation, and folds none of its events again', async () => {
  await shard().fold(SHARD, 'customer', others);
  const without = await shard().digest();
  // One event is still on its way when the others are folded, into a rebuild that is open as well.
  await shard().beginRebuild('customer', RUN);
  await shard().fold(SHARD, 'customer', own);
  expect(await shard().rowsOfKey('customer', ERASED)).toBeGreaterThan(0);

  await shard().forgetEvents([...own, late].map(({ seq }) => seq));
  expect(await shard().forgetKey('customer', ERASED)).toMatchObject({ isMore: false });
  expect(await shard().forgetKey('customer', ERASED)).toEqual({ rows: 0, isMore: false });
  await evictDurableObject(shard());
  expect(await shard().fold(SHARD, 'customer', [...own, late])).toMatchObject({ folded: 0 });
  // Nor from a page of history that was read before.
  await shard().build(SHARD, 'customer', RUN, [...own, late, ...others]);
  await shard().fill(SHARD, 'customer', [late]);
  expect(await flip()).toBe('flipped');

  expect(await shard().rowsOfKey('customer', ERASED)).toBe(0);
  const { events: _, ...cells } = await shard().digest();
  expect(without).toMatchObject(cells);
  const [row] = await shard().read('customer', [ERASED], NOW);
  expect(row?.['purchases_30d']).toMatchObject({ value: 0, status: 'NOT_FOUND' });
  const [kept] = await shard().read('customer', [OTHER], NOW);
  expect(kept?.['purchases_30d']).toMatchObject({ value: 2 });
  await runInDurableObject(shard(), (_instance, { storage }) => {
    const text = JSON.stringify(
      ['cells', 'changed'].map((table) => [...storage.sql.exec(`select * from ${table}`)]),
    );
    expect(text).not.toContain(ERASED);
    expect(text).toContain(OTHER);
  });
});

it('has readers invalidate a key until its removal is announced', async () => {
  const store = env.FEATURE_SHARD.getByName(shardOf('customer', 'k'));
  const name = shardOf('customer', 'k');
  const { keys, fold } = await store.fold(name, 'customer', [bought(11, 'k')]);
  await store.announced({ keys, fold, ready: false }, { epoch: 'e', seq: 1 });
  const open = async () => (await store.readWithFolds('customer', ['k'], NOW)).folds.open;
  expect(await open()).toEqual([]);
  await store.forgetKey('customer', 'k');
  expect(await open()).toEqual(['k']);
});

it('costs a fold nothing while no event is erased, and a row a block after that', async () => {
  const features = catalog.features.filter(({ entity }) => entity.name === 'customer');
  const ownCells = (event: FoldableEvent) => cellsOf(features, event);
  await runInDurableObject(env.FEATURE_SHARD.getByName('customer/counted'), (_instance, { storage }) => {
    const counter = new CountedStorage(storage);
    const store = new CellStore(counter.storage);
    store.adopt(features);
    serveFeatures(store, features);
    store.fold([bought(21, 'k')], ownCells);
    const foldOf = (seq: number) => counter.counted(() => store.fold([bought(seq, 'k')], ownCells));
    const before = foldOf(24);
    const noted = counter.counted(() =>
      store.erase((sql, state) => ({ result: noteErased(sql, state, [22, 23]) })),
    );
    expect(noted.written).toBeLessThanOrEqual(2);
    const after = foldOf(27);
    expect({ read: after.read - before.read, written: after.written - before.written }).toEqual({
      ...{ read: 1, written: 0 },
    });
    const rows = store.erase((sql) => ({ result: rowsOfKey(sql, 'k') }));
    const { written } = counter.counted(() =>
      store.erase((sql, state, kept) => forgetKey(sql, state, kept, { key: 'k', limit: 100 })),
    );
    // Each row, the totals of the generation and its open folds.
    expect(written).toBeLessThanOrEqual(rows + 2);
  });
});
