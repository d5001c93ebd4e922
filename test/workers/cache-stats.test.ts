import { createExecutionContext, evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { expect, it, vi } from 'vitest';
import { MIGRATIONS } from '../../durable-objects/cache-stats/migrations.ts';
import { CounterStore } from '../../durable-objects/cache-stats/store.ts';
import { SERIES_MAX } from '../../durable-objects/cache-stats/tally.ts';
import { SAVE_EVERY_MS } from '../../durable-objects/paced-save.ts';
import { migrate } from '../../durable-objects/sqlite-migrations.ts';
import { Isolate } from '../../src/composition/isolate.ts';
import { appOf } from '../../src/composition/worker.ts';
import { DROPPED } from '../../src/platform/counters.ts';
import { catalog } from '../support/catalog/index.ts';

const app = appOf(new Isolate(catalog));

const stats = (name: string) => env.CACHE_STATS.getByName(name);
const counted = (value: number, view = 'product') => ({
  name: 'millrace_cache_answers_total',
  labels: { view, outcome: 'hit' },
  value,
});

it('counts a batch once, however often it is sent, and adds up what several isolates count', async () => {
  const object = stats('doubles');
  await object.flush({ isolate: 'a', n: 1, counters: [counted(3)] });
  await object.flush({ isolate: 'a', n: 1, counters: [counted(3)] });
  await object.flush({ isolate: 'b', n: 1, counters: [counted(4)] });
  await object.flush({ isolate: 'a', n: 2, counters: [counted(5), counted(1, 'products')] });
  const { totals, windows } = await object.report();
  expect(totals.map(({ labels, value }) => [labels['view'], value])).toEqual([
    ['product', 12],
    ['products', 1],
  ]);
  expect(windows[60]).toEqual(totals);
});

it('has the newest exemplar of each series that it counts, and of no other', async () => {
  const object = stats('exemplars');
  const exemplar = (traceId: string, view = 'product') => {
    const { name, labels } = counted(1, view);
    return { name, labels, traceId: traceId.repeat(32), spanId: 'b'.repeat(16), value: 0.1, atMs: 1 };
  };
  await object.flush({ isolate: 'a', n: 1, counters: [counted(1)], exemplars: [exemplar('1')] });
  const exemplars = [exemplar('2'), exemplar('3', 'unknown')];
  await object.flush({ isolate: 'a', n: 2, counters: [counted(1)], exemplars });
  expect((await object.report()).exemplars).toEqual([exemplar('2')]);
});

it('keeps its counts over an eviction', async () => {
  await stats('evicted').flush({ isolate: 'a', n: 1, counters: [counted(3)] });
  await evictDurableObject(stats('evicted'));
  await stats('evicted').flush({ isolate: 'a', n: 1, counters: [counted(3)] });
  expect((await stats('evicted').report()).totals).toEqual([expect.objectContaining({ value: 3 })]);
});

it('saves at once, then at most once in ten seconds, and saves what came in between', async () => {
  await runInDurableObject(stats('saving'), async (object, state) => {
    const saved = () => new CounterStore(state.storage).totals()[0]?.value;
    await object.flush({ isolate: 'a', n: 1, counters: [counted(3)] });
    expect(saved()).toBe(3);
    vi.useFakeTimers({ now: Date.now() });
    try {
      await object.flush({ isolate: 'a', n: 2, counters: [counted(1)] });
      await object.flush({ isolate: 'b', n: 1, counters: [counted(1)] });
      expect((await object.report()).totals[0]?.value).toBe(5);
      expect(saved()).toBe(3);
      vi.advanceTimersByTime(SAVE_EVERY_MS);
      expect(saved()).toBe(5);
    } finally {
      vi.useRealTimers();
    }
  });
});

it('has windows that slide by the minute, and keeps an hour of them', async () => {
  await runInDurableObject(stats('windows'), (_, state) => {
    const store = new CounterStore(state.storage);
    for (let minute = 1; minute <= 100; minute += 1)
      store.add({ isolate: 'a', n: minute, counters: [counted(1)] }, minute);
    // Whole minutes, and the one that has begun.
    expect(store.within(1, 100)[0]?.value).toBe(2);
    expect(store.within(5, 100)[0]?.value).toBe(6);
    expect(store.within(60, 100)[0]?.value).toBe(61);
    expect(store.within(5, 103)[0]?.value).toBe(3);
    expect(store.within(1, 102)).toEqual([]);
    expect(store.totals()[0]?.value).toBe(100);
    store.save();
    expect(state.storage.sql.exec('select count(*) as rows from counted_minutes').one()['rows']).toBe(61);
    expect(new CounterStore(state.storage).within(60, 100)[0]?.value).toBe(61);
  });
});

it('keeps a bounded number of series, and treats labels in any order as one series', async () => {
  await runInDurableObject(stats('bounded'), (_, state) => {
    const store = new CounterStore(state.storage);
    const many = Array.from({ length: SERIES_MAX + 5 }, (_, n) => counted(1, `view ${n}`));
    store.add({ isolate: 'a', n: 1, counters: many }, 1);
    expect(store.totals()).toHaveLength(SERIES_MAX + 1);
    expect(store.totals()).toContainEqual({ name: DROPPED, labels: {}, value: 5 });
    const { name, value } = counted(1);
    const known = { name, value, labels: { outcome: 'hit', view: 'view 0' } };
    store.save();
    // After an eviction it counts its series anew.
    const later = new CounterStore(state.storage);
    later.add({ isolate: 'a', n: 2, counters: [known, counted(2, 'new')] }, 1);
    expect(later.totals()).toContainEqual({ ...known, labels: { ...known.labels }, value: 2 });
    expect(later.totals()).toContainEqual({ name: DROPPED, labels: {}, value: 7 });
  });
});

it('reports the active isolates, and the size of their memory tiers', async () => {
  await runInDurableObject(stats('isolates'), (_, state) => {
    const store = new CounterStore(state.storage);
    const batch = { n: 1, counters: [counted(1)] };
    store.add({ ...batch, isolate: 'a', memoryBytes: 1_000 }, 1);
    store.add({ ...batch, isolate: 'b', memoryBytes: 500 }, 4);
    store.add({ ...batch, isolate: 'a', n: 2, memoryBytes: 700 }, 4);
    expect(store.isolates(4)).toEqual({ active: 2, memoryBytes: 1_200 });
    store.add({ ...batch, isolate: 'c' }, 10);
    expect(store.isolates(10)).toEqual({ active: 1, memoryBytes: 0 });
    store.add({ ...batch, isolate: 'd' }, 200);
    store.save();
    const saved = state.storage.sql.exec("select value from saved where name = 'isolates'").one();
    expect(saved['value']).toBe('[["d",1,200,0]]');
  });
});

/** The first step after which each minute is a row. */
const ROWS_OF_MINUTES = 3;

it.each(MIGRATIONS.map((_, step) => step))('keeps what it has counted when step %i is new', async (step) => {
  await runInDurableObject(stats(`migrated from ${step}`), (_, state) => {
    const { sql } = state.storage;
    // The object has made its schema already: back to before it had any.
    const tables = sql
      .exec<{ name: string }>("select name from sqlite_master where type = 'table'")
      .toArray();
    for (const { name } of tables) if (!name.startsWith('_cf')) sql.exec(`drop table ${name}`);
    migrate(state.storage, MIGRATIONS.slice(0, step));
    const series = JSON.stringify(['a_total', {}]);
    if (step > 0 && step < ROWS_OF_MINUTES) {
      sql.exec('insert into totals (series, value) values (?, 41)', series);
      sql.exec('insert into minutes (minute, series, value) values (1, ?, 41)', series);
      sql.exec("insert into isolates (id, n, minute) values ('i', 7, 1)");
    }
    if (step >= ROWS_OF_MINUTES) {
      sql.exec('insert into series (number, text) values (1, ?)', series);
      sql.exec("insert into counted_minutes (minute, counts) values (1, '[[1,41]]')");
      sql.exec("insert or replace into saved (name, value) values ('totals', '[[1,41]]')");
      sql.exec(`insert or replace into saved (name, value) values ('isolates', '[["i",7,1,0]]')`);
    }
    const store = new CounterStore(state.storage);
    const counters = [{ name: 'a_total', labels: {}, value: 1 }];
    store.add({ isolate: 'i', n: 7, counters }, 1);
    store.add({ isolate: 'i', n: 8, counters }, 1);
    const expected = [{ name: 'a_total', labels: {}, value: step > 0 ? 42 : 2 }];
    expect(store.totals()).toEqual(expected);
    expect(store.within(5, 1)).toEqual(expected);
    store.save();
    expect(new CounterStore(state.storage).totals()).toEqual(expected);
  });
});

it('need the key, unless the deployment makes them public', async () => {
  const get = async (isPublic: string | boolean, path: string) =>
    (await app.request(path, {}, { ...env, METRICS_PUBLIC: isPublic }, createExecutionContext())).status;
  expect(await get(false, '/metrics')).toBe(401);
  expect(await get('false', '/metrics')).toBe(401);
  expect(await get('true', '/metrics')).toBe(200);
  expect(await get(true, '/metrics')).toBe(200);
  expect(await get(true, '/v1/admin/cache/stats')).toBe(401);
});

it('refuses a value that is not a batch', async () => {
  await runInDurableObject(stats('refusing'), async (object) => {
    const batch = { isolate: 'a', n: 0, counters: [] };
    await expect(object.flush(batch)).rejects.toThrow();
    await expect(object.flush({ ...batch, n: 1, counters: [{ ...counted(-1) }] })).rejects.toThrow();
    await expect(
      object.flush({ ...batch, n: 1, counters: [{ ...counted(1), name: 'x' }] }),
    ).rejects.toThrow();
  });
});
