import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { expect, it } from 'vitest';
import { MIGRATIONS } from '../../durable-objects/queued-events/migrations.ts';
import {
  KEPT_EVENTS_MAX,
  KEPT_MS,
  QueuedStore,
  SEGMENT_MS,
  UNASKED_MS,
} from '../../durable-objects/queued-events/store.ts';
import { migrate } from '../../durable-objects/sqlite-migrations.ts';

const queued = (name: string) => env.QUEUED_EVENTS.getByName(name);
const saved = (store: QueuedStore, hashes: readonly number[], nowMs: number) => {
  store.note(hashes, nowMs);
  store.save(nowMs);
};

it('remembers queued events, also over an eviction', async () => {
  await queued('a').note([1, 2 ** 53 - 1]);
  // The first events after a quiet time are saved at once.
  await evictDurableObject(queued('a'));
  await queued('a').note([3]);
  const known = await Promise.all([1, 2 ** 53 - 1, 3, 4].map((hash) => queued('a').has(hash)));
  expect(known).toEqual([true, true, true, false]);
  await runInDurableObject(queued('a'), async (object) => {
    await expect(object.note([-1])).rejects.toThrow();
    await expect(object.note(Array.from({ length: 1_001 }, (_, n) => n))).rejects.toThrow();
  });
});

it('drops events after a day, and the oldest when there are too many', async () => {
  await runInDurableObject(queued('b'), (_, state) => {
    const store = new QueuedStore(state.storage);
    saved(store, [1, 2], 0);
    saved(store, [2], SEGMENT_MS + 1);
    saved(store, [3], KEPT_MS + 5);
    const has = (hash: number) => store.has(hash, KEPT_MS + 6);
    expect([has(1), has(2), has(3)]).toEqual([false, true, true]);
    const thousand = (from: number) => Array.from({ length: 1_000 }, (_, n) => from + n);
    for (let n = 1; n <= KEPT_EVENTS_MAX / 1_000; n += 1) saved(store, thousand(n * 1_000), KEPT_MS + 6);
    expect([has(2), has(3), has(1_000), has(KEPT_EVENTS_MAX)]).toEqual([false, false, true, true]);
    expect(store.prune(2 * KEPT_MS + 7)).toBe(false);
    expect(new QueuedStore(state.storage).has(1_000, 2 * KEPT_MS + 7)).toBe(false);
  });
});

it('answers the same after its memory copy was dropped', async () => {
  await runInDurableObject(queued('d'), (_, state) => {
    const store = new QueuedStore(state.storage);
    saved(store, [1], 0);
    expect(store.has(1, 0)).toBe(true);
    saved(store, [2], 1);
    expect(store.has(2, 1)).toBe(true);
    saved(store, [3], UNASKED_MS + 2);
    saved(store, [4], UNASKED_MS + 3);
    expect([1, 2, 3, 4, 5].map((hash) => store.has(hash, UNASKED_MS + 4))).toEqual([
      true,
      true,
      true,
      true,
      false,
    ]);
  });
});

it('saves at most once in a period, and at once what fills a row', async () => {
  await queued('p').note([1]);
  await runInDurableObject(queued('p'), async (object, state) => {
    const rows = () => state.storage.sql.exec('select seq, events from segments order by seq').toArray();
    expect(rows()).toEqual([{ seq: 1, events: 1 }]);
    for (let hash = 2; hash < 100; hash += 1) await object.note([hash]);
    expect(rows()).toEqual([{ seq: 1, events: 1 }]);
    expect(await object.has(99)).toBe(true);
    await object.note(Array.from({ length: 600 }, (_, n) => 1_000 + n));
    expect(rows()).toEqual([
      { seq: 1, events: 1 },
      { seq: 2, events: 698 },
    ]);
    await object.note([5_000]);
    expect(rows()).toHaveLength(2);
  });
  // The timer is not waited for: the alarm saves as well.
  expect(await runDurableObjectAlarm(queued('p'))).toBe(true);
  await evictDurableObject(queued('p'));
  expect(await queued('p').has(5_000)).toBe(true);
});

it('prunes by its alarm', async () => {
  await queued('c').note([1]);
  expect(await runDurableObjectAlarm(queued('c'))).toBe(true);
  expect(await queued('c').has(1)).toBe(true);
});

it('keeps the events of small requests in few rows, over a restart, and moves those of the first schema', async () => {
  await runInDurableObject(queued('e'), (_, state) => {
    const { sql } = state.storage;
    sql.exec('drop table segments');
    sql.exec('delete from migrations');
    migrate(state.storage, MIGRATIONS.slice(0, 1));
    sql.exec('insert into requests (at_ms, events, hashes) values (0, 2, ?)', Float64Array.of(7, 8).buffer);
    const rows = () => Number(sql.exec('select count(*) as rows from segments').one()['rows']);
    let store = new QueuedStore(state.storage);
    for (let event = 100; event < 1_100; event += 1) saved(store, [event], 1);
    // 1,000 events in segments of 512, beside the row that was there.
    expect(rows()).toBe(3);
    store = new QueuedStore(state.storage);
    saved(store, [1_100], 2);
    expect(rows()).toBe(4);
    expect([7, 8, 99, 100, 611, 612, 1_099, 1_100].map((hash) => store.has(hash, 3))).toEqual([
      ...[true, true, false],
      ...[true, true, true, true, true],
    ]);
  });
});
