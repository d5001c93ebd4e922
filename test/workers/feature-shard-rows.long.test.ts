import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { expect, it } from 'vitest';
import { FOLD_ROWS } from '../../bench/cost/counted.ts';
import { CellStore } from '../../durable-objects/feature-shard/store.ts';
import { STEP_LIMITS } from '../../durable-objects/feature-shard/upkeep.ts';
import { cellsOf, type FoldableEvent } from '../../src/features/fold.ts';
import { BLOCK_NUMBERS } from '../../src/features/folded-numbers.ts';
import { catalog } from '../support/catalog/index.ts';
import { CountedStorage } from '../support/worker/counted-storage.ts';
import { serveFeatures } from '../support/workers/serve-features.ts';

const { ofRow, ofCall, ofPurchase } = FOLD_ROWS;
const DAY_MS = 86_400_000;
/** Many times what 500,000 cells take on one busy core, in milliseconds. */
const TIMEOUT_MS = 120_000;
const TODAY = Math.floor(Date.now() / DAY_MS);
const NOW = (TODAY + 0.5) * DAY_MS;
const FEATURES = catalog.features.filter(({ entity }) => entity.name === 'customer');
const ownCells = (event: FoldableEvent) => cellsOf(FEATURES, event);

/** It counts in four of the customer's five features. */
function purchase(seq: number, daysAgo: number, customerId = 'k'): FoldableEvent {
  const data = { invoice: 'A', sku: 'A', quantity: 2, unitPrice: 1.5, customerId, country: 'UK' };
  return { seq, type: 'shop.purchase.v1', occurredAt: NOW - daysAgo * DAY_MS, data };
}

/** A shard with so many keys beside `k`, each with a cell of each feature, and a counted store over it. */
function shardOf(state: DurableObjectState, keys: number) {
  const counted = new CountedStorage(state.storage);
  const { storage } = counted;
  const rowsOf = <Result>(work: () => Result) => counted.counted(work);
  const store = new CellStore(storage);
  store.adopt(FEATURES);
  serveFeatures(store, FEATURES);
  state.storage.sql.exec(
    `with recursive other (n) as (select 1 union all select n + 1 from other where n < ?),
     cell as (
       select char(97 + n % 26) || n as key, id, tile_ms, case days when 0 then 0 else ? - n % 300 end as bucket,
         rule like 'items%' as is_alone
       from other, features where n < ?)
     insert into cells (generation, key, feature, bucket, item, amount, last_at, state)
     select 1, key, id, bucket, '', 1, 1, '' from cell where is_alone
     union all
     select 1, key, -1 - tile_ms * 1048576, bucket, '', 0, 0, json_group_array(json_array(id, 1, 1))
     from cell where not is_alone group by key, tile_ms, bucket`,
    keys,
    TODAY,
    keys,
  );
  return { store, rowsOf };
}

it.each([1, 100, 100_000])(
  'reads and folds take as many rows in a shard of %i keys',
  { timeout: TIMEOUT_MS },
  async (keys) => {
    await runInDurableObject(env.FEATURE_SHARD.getByName(`customer/rows-${keys}`), (_, state) => {
      const { store, rowsOf } = shardOf(state, keys);
      const daysAgo = [0, 1, 2, 29, 30, 89, 90, 364, 365, 500, 900];
      store.fold(
        daysAgo.map((days, at) => purchase(at + 1, days)),
        ownCells,
      );
      // Eight days within 365, six within 90, the last time, and one item.
      expect(store.read(['k'], NOW)[0]).toHaveLength(16);
      // The 14 cells of days are eight packs, and the last time is another. One row tells the served generation. Each
      // look-up, of the two packs and the items, may touch the row behind. Each call looks for keys that a flip has changed.
      const [rows, lookUps] = [8 + 1 + 1, 3];
      const ofRead = 2;
      const read = rowsOf(() => store.read(['k'], NOW));
      expect(read.read).toBeLessThanOrEqual(ofRead + lookUps + rows);
      expect(read.written).toBe(0);
      const hundred = Array.from({ length: 100 }, () => 'k');
      expect(rowsOf(() => store.read(hundred, NOW)).read).toBeLessThanOrEqual(
        ofRead + 100 * (lookUps + rows),
      );
      expect(rowsOf(() => store.read(['nobody'], NOW)).read).toBeLessThanOrEqual(ofRead + lookUps);

      // Two cells of the day are one row, two have one each; the numbers and the totals are another.
      for (const event of [purchase(100, 0), purchase(101, 0, 'new')]) {
        const fold = rowsOf(() => store.fold([event], ownCells));
        expect(fold.written).toBe(ofPurchase.rows * ofRow.written + ofCall.written);
        expect(fold.read).toBeLessThanOrEqual(ofPurchase.rows * ofRow.read + ofCall.read);
      }
      const again = rowsOf(() => store.fold([purchase(100, 0)], ownCells));
      expect(again.written).toBe(0);
      expect(again.read).toBeLessThanOrEqual(2);
      const many = Array.from({ length: 100 }, (_, at) => purchase(200 + at, 0, `n${at}`));
      const batch = rowsOf(() => store.fold(many, ownCells));
      expect(batch.written).toBe(100 * ofPurchase.rows * ofRow.written + ofCall.written);
      expect(batch.read).toBeLessThanOrEqual(100 * ofPurchase.rows * ofRow.read + ofCall.read);
      expect(rowsOf(() => store.digest()).read).toBeLessThanOrEqual(2);
    });
  },
);

it('takes bounded rows for each step of a flip and of upkeep, however many cells there are', {
  timeout: TIMEOUT_MS,
}, async () => {
  await runInDurableObject(env.FEATURE_SHARD.getByName('customer/flip-rows'), (_, state) => {
    const { store, rowsOf } = shardOf(state, 100_000);
    store.beginRebuild('run');
    store.build('run', [purchase(1, 0), purchase(2, 0, 'a')], ownCells);
    const { rows: most } = STEP_LIMITS;
    for (let steps = 0; ; steps += 1) {
      expect(steps).toBeLessThan(1_000);
      let step = '';
      const rows = rowsOf(() => {
        step = store.stepFlip('run').state;
      });
      // Both generations, one of them twice where the other has more cells in the range; the keys that differ.
      expect(rows.read).toBeLessThanOrEqual(5 * most);
      expect(rows.written).toBeLessThanOrEqual(most + 1);
      if (step === 'flipped') break;
    }
    expect(store.read(['k', 'b1', 'a'], NOW).map((of) => of.length)).toEqual([4, 0, 4]);
    // The old generation is deleted, and then no upkeep is left for today.
    for (let steps = 0; ; steps += 1) {
      expect(steps).toBeLessThan(1_000);
      let isMore = false;
      const rows = rowsOf(() => {
        isMore = store.stepUpkeep(NOW);
      });
      expect(rows.read).toBeLessThanOrEqual(3 * most);
      expect(rows.written).toBeLessThanOrEqual(most + 1);
      if (!isMore) break;
    }
    const left = state.storage.sql.exec('select count(*) as cells from cells').one()['cells'];
    expect(left).toBe(6);
  });
});

it('keeps the numbers of folded events in a row for 16,384 numbers, in whatever order they arrive', async () => {
  await runInDurableObject(env.FEATURE_SHARD.getByName('customer/numbers'), (_, state) => {
    const { store } = shardOf(state, 1);
    // Every eighth number, as a shard gets them, from the last to the first.
    const numbers = Array.from({ length: 5_000 }, (_, at) => (5_000 - at) * 8);
    const events = numbers.map((seq) => purchase(seq, 0, `c${seq % 7}`));
    for (let from = 0; from < events.length; from += 500)
      expect(store.fold(events.slice(from, from + 500), ownCells)).toBe(500);
    expect(store.fold(events, ownCells)).toBe(0);
    expect(store.fold([purchase(9, 0), purchase(16, 0), purchase(15, 0)], ownCells)).toBe(2);
    const rows = state.storage.sql
      .exec<{ block: number; bytes: number }>(`select block, length(numbers) as bytes from folded
         union all select block, length(numbers) from generations, shard where generation = served`)
      .toArray();
    expect(rows).toHaveLength(Math.ceil(40_001 / BLOCK_NUMBERS));
    expect(Math.max(...rows.map(({ bytes }) => bytes))).toBeLessThanOrEqual(2_048);
    expect(store.digest().events).toBe(5_002);
  });
});
