import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { MIGRATIONS } from '../../durable-objects/feature-shard/migrations.ts';
import { CellStore } from '../../durable-objects/feature-shard/store.ts';
import { STEP_LIMITS } from '../../durable-objects/feature-shard/upkeep.ts';
import { migrate } from '../../durable-objects/sqlite-migrations.ts';
import type { FeatureDefinition } from '../../src/define/feature.ts';
import { DigestTally, type ShardDigest } from '../../src/features/digest.ts';
import { type Cell, cellsOf, type FoldableEvent } from '../../src/features/fold.ts';
import { BLOCK_NUMBERS } from '../../src/features/folded-numbers.ts';
import { catalog } from '../support/catalog/index.ts';
import { SERVED_CELLS } from '../support/served-cells.ts';
import { CountedStorage } from '../support/worker/counted-storage.ts';
import { serveFeatures } from '../support/workers/serve-features.ts';

const DAY_MS = 86_400_000;
const TODAY = Math.floor(Date.now() / DAY_MS);
const NOW = (TODAY + 0.5) * DAY_MS;
const FEATURES = catalog.features.filter(({ entity }) => entity.name === 'customer');
const ownCells = (event: FoldableEvent) => cellsOf(FEATURES, event);
const STEPS_MAX = 5_000;

function purchase(seq: number, daysAgo: number, customerId = 'k', sku = 'A'): FoldableEvent {
  const data = { invoice: 'A', sku, quantity: 2, unitPrice: 1.5, customerId, country: 'UK' };
  return { seq, type: 'shop.purchase.v1', occurredAt: NOW - daysAgo * DAY_MS, data };
}

function inShard(name: string, work: (state: DurableObjectState) => void): Promise<void> {
  return runInDurableObject(env.FEATURE_SHARD.getByName(`customer/${name}`), (_, state) => work(state));
}

function storeOver(
  storage: DurableObjectStorage,
  features: readonly FeatureDefinition[] = FEATURES,
): CellStore {
  const store = new CellStore(storage);
  store.adopt(features);
  serveFeatures(store, features);
  return store;
}

/** Does upkeep until none is left, with a new store for each step, as after an eviction. */
function tidy(storage: DurableObjectStorage, now = NOW, features = FEATURES): number {
  for (let steps = 0; steps < STEPS_MAX; steps += 1)
    if (!storeOver(storage, features).stepUpkeep(now)) return steps;
  throw new Error('The upkeep does not end.');
}

function flip(storage: DurableObjectStorage, run: string) {
  for (let steps = 0; steps < STEPS_MAX; steps += 1) {
    const step = storeOver(storage).stepFlip(run);
    if (step.state !== 'comparing') return step;
  }
  throw new Error('The flip does not end.');
}

function servedCells({ sql }: DurableObjectStorage): Cell[] {
  return sql
    .exec<{ [Column in keyof Cell]: Cell[Column] }>(
      `select key, feature, bucket, item, amount, "lastAt", state from (${SERVED_CELLS})
       order by key, feature, bucket, item`,
    )
    .toArray();
}

/** Rows that no read can reach. */
function staleRows({ sql }: DurableObjectStorage): number {
  return sql
    .exec<{ rows: number }>('select count(*) as rows from cells, shard where generation <> served')
    .one().rows;
}

function digestOf(cells: readonly Cell[], events: number): ShardDigest {
  const tally = new DigestTally();
  for (const cell of cells) tally.add(cell);
  return { ...tally.change, events };
}

describe('expiry', () => {
  it('leaves what reads can need, and the same state whether events arrive before or after the sweep', async () => {
    const daysAgo = [0, 29, 31, 32, 89, 91, 92, 364, 366, 367, 500];
    const events = daysAgo.map((days, at) => purchase(at + 1, days, 'k', `S${at}`));
    const states: unknown[] = [];
    await inShard('early', ({ storage }) => {
      storeOver(storage).fold(events, ownCells);
      tidy(storage);
      states.push(servedCells(storage), storeOver(storage).digest());
    });
    await inShard('late', ({ storage }) => {
      tidy(storage);
      for (const event of [...events].reverse()) storeOver(storage).fold([event], ownCells);
      // The events of expired days are folded, too: they count in features without a window, and once.
      expect(storeOver(storage).fold(events, ownCells)).toBe(0);
      tidy(storage);
      const cells = servedCells(storage);
      const days = (feature: string) =>
        cells.filter((cell) => cell.feature === feature).map(({ bucket }) => TODAY - bucket);
      expect(days('purchases').sort((a, b) => a - b)).toEqual([0, 29, 31, 32, 89, 91, 92, 364, 366]);
      expect(days('spend_minor').sort((a, b) => a - b)).toEqual([0, 29, 31, 32, 89, 91]);
      expect(days('items')).toHaveLength(daysAgo.length);
      states.push(cells, storeOver(storage).digest());
      expect(states[3]).toEqual(digestOf(cells, events.length));
    });
    expect(states.slice(0, 2)).toEqual(states.slice(2));
  });

  it('refuses reads as of a day whose cells may have expired, and answers for two days before today', async () => {
    await inShard('behind', ({ storage }) => {
      storeOver(storage).fold([purchase(1, 366)], ownCells);
      tidy(storage);
      const store = storeOver(storage);
      const purchases = (daysAgo: number) =>
        store.read(['k'], NOW - daysAgo * DAY_MS)[0]?.filter(({ feature }) => feature === 'purchases').length;
      expect([purchases(0), purchases(1), purchases(2)]).toEqual([0, 0, 1]);
      expect(() => purchases(3)).toThrow(/have expired/);
    });
  });

  it('takes several steps for many keys, and is repeated the next day', async () => {
    await inShard('keys', ({ storage }) => {
      const store = storeOver(storage);
      const keys = STEP_LIMITS.keys * 2 + 1;
      store.fold(
        Array.from({ length: keys }, (_, at) => purchase(at + 1, 90, `k${at}`)),
        ownCells,
      );
      // One step deletes the layer in which the features began.
      expect(tidy(storage)).toBe(5);
      expect(storeOver(storage).digest().cells).toBe(keys * 4);
      expect(tidy(storage)).toBe(0);
      tidy(storage, NOW + 2 * DAY_MS);
      expect(storeOver(storage).digest().cells).toBe(keys * 3);
    });
  });
});

describe('changed definitions', () => {
  const longer = FEATURES.map((definition) =>
    definition.name === 'spend_minor' ? { ...definition, windowsDays: [90, 120] } : definition,
  );

  it('are not served from the cells of the old definition, which are deleted; others stay', async () => {
    await inShard('changed', ({ storage }) => {
      storeOver(storage).fold([purchase(1, 0), purchase(2, 5)], ownCells);
      tidy(storage);
      const names = (store: CellStore) => store.read(['k'], NOW)[0]?.map(({ feature }) => feature);
      const store = storeOver(storage, longer);
      expect(names(store)).not.toContain('spend_minor');
      expect(names(store)?.filter((name) => name === 'purchases')).toHaveLength(2);
      store.fold([purchase(3, 0)], (event) => cellsOf(longer, event));
      expect(names(store)?.filter((name) => name === 'spend_minor')).toHaveLength(1);
      tidy(storage, NOW, longer);
      const cells = servedCells(storage);
      expect(cells.filter(({ feature }) => feature === 'spend_minor')).toMatchObject([{ amount: 300 }]);
      expect(storeOver(storage, longer).digest()).toEqual(digestOf(cells, 3));
    });
  });

  it('close an open rebuild, whose pages lack them', async () => {
    await inShard('closed', ({ storage }) => {
      const store = storeOver(storage);
      store.beginRebuild('run');
      expect(store.build('run', [purchase(1, 0)], ownCells)).toBe(true);
      const released = storeOver(storage, longer);
      expect(released.build('run', [purchase(2, 0)], ownCells)).toBe(false);
      expect(released.stepFlip('run')).toEqual({ state: 'superseded' });
    });
  });
});

describe('a flip', () => {
  it('records the keys that live folds make differ while the generations are compared', async () => {
    await inShard('uneven', ({ storage }) => {
      const many = Array.from({ length: STEP_LIMITS.rows }, (_, at) => purchase(at + 10, 0, `m${at}`));
      const store = storeOver(storage);
      store.fold([...many, purchase(1, 0, 'a')], ownCells);
      store.beginRebuild('run');
      // History has both events of `a`, of which only one was folded live.
      store.build('run', [...many, purchase(1, 0, 'a'), purchase(2, 0, 'a')], ownCells);
      expect(store.stepFlip('run').state).toBe('comparing');
      store.fold([purchase(3, 0, 'b'), purchase(2, 0, 'a')], ownCells);
      const step = flip(storage, 'run');
      expect(step).toMatchObject({ state: 'flipped' });
      expect(store.changedKeys(500)).toEqual(['a']);
      const digest = storeOver(storage).digest();
      expect(digest).toEqual(digestOf(servedCells(storage), many.length + 3));
      expect(step.state === 'flipped' && step.outcome.before).toEqual(digest);
    });
  });

  it('ends with the rebuilt cells alone although it stops after every step, and a sweep comes in between', async () => {
    await inShard('stops', ({ storage }) => {
      const history = Array.from({ length: 1_500 }, (_, at) => purchase(at + 1, at % 400, `k${at % 40}`));
      storeOver(storage).fold(history.slice(0, 1_000), ownCells);
      storeOver(storage).beginRebuild('run');
      for (let from = 0; from < history.length; from += 500)
        storeOver(storage).build('run', history.slice(from, from + 500), ownCells);
      const before = servedCells(storage);
      const few = () => new CellStore(storage, { rows: 100, keys: 10 });
      expect(few().stepFlip('run').state).toBe('comparing');
      expect(servedCells(storage)).toEqual(before);
      expect(tidy(storage)).toBeGreaterThan(0);
      expect(few().stepFlip('run').state).toBe('comparing');
      const step = flip(storage, 'run');
      tidy(storage);
      const cells = servedCells(storage);
      expect(step.state === 'flipped' && step.outcome.after).toEqual(digestOf(cells, history.length));
      expect(staleRows(storage)).toBe(0);
      // An interrupted rebuild that another one replaces leaves nothing, either.
      storeOver(storage).beginRebuild('second');
      storeOver(storage).build('second', history.slice(0, 500), ownCells);
      storeOver(storage).beginRebuild('third');
      expect(storeOver(storage).build('second', history.slice(500, 600), ownCells)).toBe(false);
      tidy(storage);
      expect(servedCells(storage)).toEqual(cells);
      expect(staleRows(storage)).toBe(0);
    });
  });
});

describe('a shard of the first schema', () => {
  const CELLS = 200_000;
  /** Many times what 200,000 cells take on one busy core, in milliseconds. */
  const TIMEOUT_MS = 120_000;

  /** Makes the tables that the first release made, with twenty cells a key, and 50,000 folded numbers. */
  function makeOld({ sql }: DurableObjectStorage, oldCells: number): void {
    for (const { name } of sql
      .exec<{ name: string }>(
        "select name from sqlite_schema where type = 'table' and name not like '\\_cf%' escape '\\'",
      )
      .toArray())
      sql.exec(`drop table ${name}`);
    sql.exec('create table migrations (step integer primary key)');
    for (const step of [0, 1]) {
      MIGRATIONS[step]?.(sql);
      sql.exec('insert into migrations (step) values (?)', step);
    }
    sql.exec(
      `with recursive n (n) as (select 0 union all select n + 1 from n where n < ? - 1)
       insert into cells select 'k' || (n / 20), iif(n % 20 = 19, 'items', 'purchases'),
         iif(n % 20 = 19, 0, ? - n % 20), iif(n % 20 = 19, 'A', ''), 1, ? from n`,
      oldCells,
      TODAY,
      NOW,
    );
    sql.exec(
      `with recursive n (n) as (select 0 union all select n + 1 from n where n < 49999)
       insert into folded select n * 8 from n`,
    );
    sql.exec("insert into changed values ('k3')");
    sql.exec("insert into rebuild values (1, 'open', null)");
    sql.exec('create table next_folded (seq integer primary key)');
    sql.exec(`create table next_cells (
      key text not null, feature text not null, bucket integer not null, item text not null,
      amount integer not null, last_at integer not null, primary key (key, feature, bucket, item)) without rowid`);
    sql.exec('insert into next_cells select * from cells limit 5000');
    sql.exec('insert into next_folded select * from folded limit 5000');
  }

  it('serves and folds at once, and is moved in bounded steps that continue after an eviction', {
    timeout: TIMEOUT_MS,
  }, async () => {
    await inShard('old', (state) => {
      makeOld(state.storage, CELLS);
      const counted = new CountedStorage(state.storage);
      const { storage } = counted;
      const rowsOf = <Result>(work: () => Result) => counted.counted(work);
      // The constructor renames tables; it moves no row.
      expect(rowsOf(() => migrate(storage, MIGRATIONS)).written).toBeLessThan(100);
      // Without a call that names the entity, nothing is known of the features, so nothing is moved.
      const counts = () =>
        storage.sql
          .exec('select (select count(*) from legacy_cells) as old, (select count(*) from cells) as new')
          .one();
      while (new CellStore(storage).stepUpkeep(NOW));
      expect(counts()).toEqual({ old: CELLS, new: 0 });

      const store = storeOver(storage);
      const values = (key: string) => store.read([key], NOW)[0]?.reduce((sum, { amount }) => sum + amount, 0);
      expect(rowsOf(() => values('k77')).read).toBeLessThan(200);
      expect(values('k77')).toBe(20);
      expect(values('k78')).toBe(20);
      expect(counts()).toEqual({ old: CELLS - 40, new: 40 });
      // A number that the old table has is not folded again; another counts in moved and in unmoved keys.
      expect(
        store.fold([purchase(800, 0, 'k5'), purchase(801, 0, 'k5'), purchase(802, 0, 'k77')], ownCells),
      ).toBe(2);
      expect(values('k77')).toBe(20 + 1 + 1 + 1 + 300);

      let steps = 0;
      for (let isMore = true; isMore; steps += 1) {
        const rows = rowsOf(() => {
          isMore = storeOver(storage).stepUpkeep(NOW);
        });
        // Cells are deleted and written; numbers of events are deleted by blocks, of which every eighth number is there.
        expect(rows.written).toBeLessThanOrEqual(Math.max(2 * STEP_LIMITS.rows, BLOCK_NUMBERS / 8) + 100);
        expect(rows.read).toBeLessThanOrEqual(10 * STEP_LIMITS.rows);
        // Folds and reads in between find each key in one place.
        if (steps % 20 === 0) expect(values(`k${9_000 - steps}`)).toBe(20);
        if (steps === 30) expect(store.fold([purchase(799_001, 0, 'k6001')], ownCells)).toBe(1);
      }
      expect(steps).toBeGreaterThan(CELLS / STEP_LIMITS.rows);
      expect(values('k6001')).toBe(20 + 1 + 1 + 1 + 300);
      const tables = storage.sql
        .exec<{ name: string }>("select name from sqlite_schema where name like 'legacy%'")
        .toArray();
      expect(tables).toEqual([]);
      expect(store.changedKeys(10)).toEqual(['k3']);
      const cells = servedCells(storage);
      expect(storeOver(storage).digest()).toEqual(digestOf(cells, 50_000 + 3));
      expect(store.fold([purchase(8, 0), purchase(399_992, 0)], ownCells)).toBe(0);
      // The rebuild that was open has to be started again.
      expect(store.stepFlip('open')).toEqual({ state: 'superseded' });
    });
  });

  it('is rebuilt and flipped while its cells are moved', { timeout: TIMEOUT_MS }, async () => {
    await inShard('old-rebuild', ({ storage }) => {
      makeOld(storage, 20_000);
      const store = storeOver(storage);
      store.beginRebuild('run');
      store.build('run', [purchase(8, 0, 'k1')], ownCells);
      expect(flip(storage, 'run')).toMatchObject({
        state: 'flipped',
        outcome: { before: { cells: 20_000 } },
      });
      expect(store.changedKeys(500)).toHaveLength(500);
      tidy(storage);
      expect(servedCells(storage)).toHaveLength(4);
    });
  });
});
