import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MIGRATIONS } from '../../durable-objects/feature-shard/migrations.ts';
import { CellStore } from '../../durable-objects/feature-shard/store.ts';
import { migrate } from '../../durable-objects/sqlite-migrations.ts';
import { feature } from '../../src/define/feature.ts';
import { type Cell, cellsOf, type FoldableEvent, mergeCells } from '../../src/features/fold.ts';
import { rowsOfKeyMax, slotsOf } from '../../src/features/slots.ts';
import { customer } from '../support/catalog/entities.ts';
import { purchase } from '../support/catalog/events.ts';
import { catalog } from '../support/catalog/index.ts';
import { CountedStorage } from '../support/worker/counted-storage.ts';
import { serveFeatures } from '../support/workers/serve-features.ts';

const DAY_MS = 86_400_000;
const NOW = (Math.floor(Date.now() / DAY_MS) + 0.5) * DAY_MS;
const of = {
  entity: customer,
  event: purchase,
  key: (line: { customerId: string | null }) => line.customerId,
};
const price = (line: { unitPrice: number }) => line.unitPrice;
const windows = ['30m', '24h', '7d', '1y', 'lifetime'] as const;
const FEATURES = [
  feature.count({ ...of, name: 'lines', windows }),
  feature.sum({ ...of, name: 'price_sum', windows, value: price }),
  feature.variance({ ...of, name: 'price_variance', windows, value: price }),
  feature.lastValue({ ...of, name: 'last_sku', windows, value: (line) => line.sku }),
  feature.distinct({ ...of, name: 'skus', windows, value: (line) => line.sku }),
  feature.mostFrequent({ ...of, name: 'favourites', windows: ['7d'], value: (line) => line.sku, limit: 5 }),
  feature.decayed({ ...of, name: 'recent', halfLife: '7d' }),
];
const ownCells = (event: FoldableEvent) => cellsOf(FEATURES, event);

function line(seq: number, occurredAt: number, sku = 'A', unitPrice = 1.5): FoldableEvent {
  const data = { invoice: 'A', sku, quantity: 2, unitPrice, customerId: 'k', country: 'UK' };
  return { seq, type: 'shop.purchase.v1', occurredAt, data };
}

/** Runs the work with an object of its own. */
function inShard<T>(name: string, work: (state: DurableObjectState) => T): Promise<T> {
  return runInDurableObject(env.FEATURE_SHARD.getByName(`customer/${name}`), (_, state) => work(state));
}

function storeOver(storage: DurableObjectStorage): CellStore {
  const store = new CellStore(storage);
  store.adopt(FEATURES);
  serveFeatures(store, FEATURES);
  return store;
}

const sorted = (cells: readonly Cell[]) =>
  cells
    .map(({ feature: slot, key, bucket, amount, lastAt, state }) =>
      JSON.stringify([slot, key, bucket, amount, lastAt, state]),
    )
    .sort();

describe('the states of a shard', () => {
  it('are the same, to the last bit, for events out of order, doubled and delivered again', async () => {
    const events = fc.array(
      fc.record({
        daysAgo: fc.oneof(fc.double({ min: 0, max: 0.4, noNaN: true }), fc.integer({ min: 0, max: 400 })),
        sku: fc.integer({ min: 1, max: 100 }).map(String),
        unitPrice: fc.double({ min: 0.01, max: 1e6, noNaN: true }),
      }),
      { minLength: 1, maxLength: 40 },
    );
    let run = 0;
    await fc.assert(
      fc.asyncProperty(events, fc.nat(), fc.array(fc.nat()), async (drawn, seed, again) => {
        run += 1;
        const all = drawn.map(({ daysAgo, sku, unitPrice }, at) =>
          line(at + 1, Math.round(NOW - daysAgo * DAY_MS), sku, unitPrice),
        );
        const other = [...all].sort((a, b) => ((a.seq * 7919 + seed) % 101) - ((b.seq * 7919 + seed) % 101));
        const [kept, digest] = await inShard(`states-${run}`, ({ storage }) => {
          const store = storeOver(storage);
          for (const event of other) store.fold([event, event], ownCells);
          const repeated = again.flatMap((at) => all[at % all.length] ?? []);
          expect(store.fold(repeated, ownCells)).toBe(0);
          // A store of another isolate, which has only what SQLite has.
          return [storeOver(storage).read(['k'], NOW)[0] ?? [], store.digest()] as const;
        });
        const readable = new Set(sorted(kept));
        const owed = mergeCells(all.flatMap(ownCells));
        expect(sorted(owed)).toEqual(expect.arrayContaining([...readable]));
        const lifetime = owed.filter(({ feature: name }) => name.endsWith('@0'));
        expect([...readable]).toEqual(expect.arrayContaining(sorted(lifetime)));
        expect(digest).toMatchObject({ events: all.length, cells: owed.length });
      }),
      { numRuns: 15 },
    );
  });

  it('are the same after a rebuild from history, so that its flip changes no key', async () => {
    await inShard('states-rebuilt', ({ storage }) => {
      const store = storeOver(storage);
      const events = Array.from({ length: 300 }, (_, at) =>
        line(at + 1, NOW - (at % 40) * 7_777_777, String(at % 90), 0.1 * at),
      );
      for (const event of events) store.fold([event], ownCells);
      const live = store.read(['k'], NOW);
      store.beginRebuild('run');
      store.build('run', [...events].reverse(), ownCells);
      let step = store.stepFlip('run');
      while (step.state === 'comparing') step = store.stepFlip('run');
      expect(step).toMatchObject({ state: 'flipped' });
      if (step.state === 'flipped') expect(step.outcome.after).toEqual(step.outcome.before);
      expect(store.changedKeys(10)).toEqual([]);
      expect(store.read(['k'], NOW)).toEqual(live);
    });
  });

  it('take as many rows as the longest windows have tiles, and a row of each width for a fold', async () => {
    await inShard('state-rows', ({ storage: own }) => {
      const counted = new CountedStorage(own);
      const { storage } = counted;
      const store = storeOver(storage);
      const events = Array.from({ length: 2_000 }, (_, at) =>
        line(at + 1, NOW - at * 60_000, String(at % 200)),
      );
      store.fold(events, ownCells);
      const most = FEATURES.reduce((rows, definition) => rows + rowsOfKeyMax(definition), 0);
      // Features share the rows of one width of tiles, but for those with frequent values.
      const shared = FEATURES.filter(({ aggregate }) => aggregate !== 'most_frequent').flatMap(slotsOf);
      const widths = [...Map.groupBy(shared, ({ tileMs }) => tileMs).values()];
      const alone = FEATURES.filter(({ aggregate }) => aggregate === 'most_frequent').map(rowsOfKeyMax);
      const rows = [...widths.map((of) => Math.max(1, ...of.map(({ tiles }) => tiles))), ...alone];
      expect(store.read(['k'], NOW)[0]?.length).toBeLessThanOrEqual(most);
      const read = counted.counted(() => store.read(['k'], NOW));
      expect(read.read).toBeLessThanOrEqual(1 + rows.reduce((all, of) => all + of + 1, 0));
      expect(read.written).toBe(0);
      const fold = counted.counted(() => store.fold([line(9_000, NOW)], ownCells));
      expect(fold.written).toBe(rows.length + 1);
      expect(fold.read).toBeLessThanOrEqual(3 * rows.length + 3);
    });
  });

  it('of a shard of the schema before are empty, and its cells stay as they were', async () => {
    await inShard('states-migrated', ({ storage }) => {
      const before = catalog.features.filter(({ entity }) => entity.name === 'customer');
      for (const { name } of [
        ...storage.sql.exec<{ name: string }>("select name from sqlite_schema where type = 'table'"),
      ])
        if (!name.startsWith('_')) storage.sql.exec(`drop table "${name}"`);
      migrate(storage, MIGRATIONS.slice(0, 3));
      storage.sql.exec(
        "insert into features (name, rule, days) values ('purchases', 'count, shop.purchase, by day', 365)",
      );
      storage.sql.exec(
        "insert into features (name, rule, days) values ('last_purchase_at', 'last, shop.purchase, all time', 0)",
      );
      const today = Math.floor(NOW / DAY_MS);
      storage.sql.exec(
        `insert into cells (generation, key, feature, bucket, item, amount, last_at)
         values (1, 'k', 1, ${today}, '', 5, 7), (1, 'k', 2, 0, '', 5, 7)`,
      );
      const store = new CellStore(storage);
      store.adopt(before);
      expect(store.read(['k'], NOW)[0]).toEqual([
        { feature: 'purchases', key: 'k', bucket: today, item: '', amount: 5, lastAt: 7, state: '' },
        { feature: 'last_purchase_at', key: 'k', bucket: 0, item: '', amount: 5, lastAt: 7, state: '' },
      ]);
      store.fold([line(1, NOW)], (event) => cellsOf(before, event));
      expect(store.read(['k'], NOW)[0]?.find(({ feature: name }) => name === 'purchases')).toMatchObject({
        amount: 6,
        lastAt: NOW,
      });
    });
  });
});
