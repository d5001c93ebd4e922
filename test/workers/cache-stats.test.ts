import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { expect, it } from 'vitest';
import { CounterStore, SERIES_MAX } from '../../durable-objects/cache-stats/store.ts';

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

it('keeps its counts over an eviction', async () => {
  await stats('evicted').flush({ isolate: 'a', n: 1, counters: [counted(3)] });
  await evictDurableObject(stats('evicted'));
  await stats('evicted').flush({ isolate: 'a', n: 1, counters: [counted(3)] });
  expect((await stats('evicted').report()).totals).toEqual([expect.objectContaining({ value: 3 })]);
});

it('has windows that slide by the minute, and keeps an hour of them', async () => {
  await runInDurableObject(stats('windows'), (_, state) => {
    const store = new CounterStore(state.storage);
    for (let minute = 1; minute <= 100; minute += 1) store.add('a', minute, [counted(1)], minute);
    expect(store.within(1, 100)[0]?.value).toBe(1);
    expect(store.within(5, 100)[0]?.value).toBe(5);
    expect(store.within(60, 100)[0]?.value).toBe(60);
    expect(store.within(5, 103)[0]?.value).toBe(2);
    expect(store.totals()[0]?.value).toBe(100);
    const { rows } = { rows: state.storage.sql.exec('select count(*) as rows from minutes').one() };
    expect(rows['rows']).toBe(61);
  });
});

it('takes a bounded number of series, and the text of their labels in any order for one', async () => {
  await runInDurableObject(stats('bounded'), (_, state) => {
    const store = new CounterStore(state.storage);
    const many = Array.from({ length: SERIES_MAX + 5 }, (_, n) => counted(1, `view ${n}`));
    store.add('a', 1, many, 1);
    expect(store.totals()).toHaveLength(SERIES_MAX);
    const { name, value } = counted(1);
    store.add('a', 2, [{ name, value, labels: { outcome: 'hit', view: 'view 0' } }], 1);
    expect(store.totals()).toContainEqual(expect.objectContaining({ value: 2 }));
  });
});

it('refuses what is no batch', async () => {
  await runInDurableObject(stats('refusing'), async (object) => {
    const batch = { isolate: 'a', n: 0, counters: [] };
    await expect(object.flush(batch)).rejects.toThrow();
    await expect(object.flush({ ...batch, n: 1, counters: [{ ...counted(-1) }] })).rejects.toThrow();
    await expect(
      object.flush({ ...batch, n: 1, counters: [{ ...counted(1), name: 'x' }] }),
    ).rejects.toThrow();
  });
});
