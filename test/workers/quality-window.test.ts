import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { expect, it } from 'vitest';
import { BATCHES_MAX, QualityStore, TYPES_MAX } from '../../durable-objects/quality-window/store.ts';
import type { ScoreBatch, Tally } from '../../src/pipeline/quality/tally.ts';
import { WIDTHS } from '../../src/pipeline/quality/windows.ts';

const quality = (name: string) => env.QUALITY_WINDOW.getByName(name);
const idOf = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
const tally = (events: number, failed = 0): Tally => ({
  events,
  refused: failed,
  rules: { price: { dimension: 'validity', judged: events, failed } },
  bins: { spread: { a: events } },
});
const batch = (n: number, minute: number, type = 't', counted = tally(1)): ScoreBatch => ({
  id: idOf(n),
  atMs: minute * 60_000,
  types: { [type]: counted },
});
/** A minute that begins a bucket of every width. */
const BEGIN = 360 * 80_000;

it('counts a transaction once, however often it is sent, also over an eviction', async () => {
  const now = Math.floor(Date.now() / 60_000);
  await quality('once').add(batch(1, now, 't', tally(10, 2)));
  await quality('once').add(batch(1, now, 't', tally(10, 2)));
  await evictDurableObject(quality('once'));
  await quality('once').add(batch(1, now, 't', tally(10, 2)));
  await quality('once').add(batch(2, now, 't', tally(5)));
  const { windows, totals } = await quality('once').counts();
  const expected: Tally = {
    events: 15,
    refused: 2,
    rules: { price: { dimension: 'validity', judged: 15, failed: 2 } },
    bins: { spread: { a: 15 } },
  };
  expect(totals).toEqual({ t: expected });
  for (const window of ['5m', '1h', '24h', '7d'] as const) expect(windows[window]).toEqual({ t: expected });
  expect(await quality('once').uncounted([idOf(1), idOf(2), idOf(3)])).toEqual([idOf(3)]);
});

it('has sliding windows, and compares each with the time before it', async () => {
  await runInDurableObject(quality('windows'), (_, state) => {
    const store = new QualityStore(state.storage);
    let n = 0;
    // One event in each quarter of an hour, for nine days.
    for (let minute = BEGIN - 9 * 1_440; minute < BEGIN; minute += 15) {
      n += 1;
      store.add(batch(n, minute), minute);
    }
    const at = (minute: number) => store.counts(minute);
    const eventsIn = (minute: number) => {
      const { windows, references } = at(minute);
      return [
        windows['5m']['t']?.events ?? 0,
        windows['1h']['t']?.events ?? 0,
        windows['24h']['t']?.events ?? 0,
        windows['7d']['t']?.events ?? 0,
        references['24h']['t']?.events ?? 0,
      ];
    };
    // The minute before: the last event is 14 minutes old, and the begun buckets of 15 minutes and 6 hours are full.
    expect(eventsIn(BEGIN - 1)).toEqual([0, 4, 97, 29 * 24, 7 * 96]);
    expect(eventsIn(BEGIN - 15)).toEqual([1, 5, 97, 29 * 24, 7 * 96]);
    expect(eventsIn(BEGIN + 30)).toEqual([0, 2, 94, 28 * 24, 7 * 96]);
    expect(eventsIn(BEGIN + 30 * 1_440)).toEqual([0, 0, 0, 0, 0]);
  });
});

it('counts a late batch at its storing time, and a batch from the future as of now', async () => {
  await runInDurableObject(quality('late'), (_, state) => {
    const store = new QualityStore(state.storage);
    store.add(batch(1, BEGIN - 120), BEGIN);
    store.add(batch(2, BEGIN + 120), BEGIN);
    const { windows, totals } = store.counts(BEGIN);
    expect(windows['1h']['t']?.events).toBe(1);
    expect(windows['24h']['t']?.events).toBe(2);
    // Too late for any window: only the total has it, and it makes no rows that would have to go.
    store.add(batch(3, BEGIN - 30 * 1_440), BEGIN);
    expect(store.counts(BEGIN).windows['7d']['t']?.events).toBe(2);
    expect(totals['t']?.events).toBe(2);
    expect(store.counts(BEGIN).totals['t']?.events).toBe(3);
  });
});

it('keeps a bounded number of rows, and its totals', async () => {
  await runInDurableObject(quality('bounded'), (_, state) => {
    const store = new QualityStore(state.storage);
    const end = BEGIN + 1_600;
    for (let minute = BEGIN; minute <= end; minute += 1) store.add(batch(minute, minute), minute);
    expect(store.prune(end)).toBe(true);
    const rows = (width: number) =>
      state.storage.sql.exec('select count(*) as n from buckets where width = ?', width).one()['n'];
    for (const { width, kept } of WIDTHS) expect(rows(width)).toBeLessThanOrEqual(kept);
    expect(rows(1)).toBe(61);
    const ids = state.storage.sql.exec('select count(*) as n from counted').one()['n'];
    expect(ids).toBe(1_501);
    expect(store.prune(end + 20 * 1_440)).toBe(false);
    expect(store.counts(end).totals['t']?.events).toBe(1_601);
    // What was counted stays counted as long as anybody would send it again.
    const later = end + 20 * 1_440;
    expect(store.uncounted([idOf(end)])).toEqual([idOf(end)]);
    store.add(batch(1, later), later);
    store.prune(later + 1_440);
    expect(store.uncounted([idOf(1)])).toEqual([]);
  });
});

it('distinguishes a bounded number of types', async () => {
  await runInDurableObject(quality('types'), (_, state) => {
    const store = new QualityStore(state.storage);
    for (let n = 1; n <= TYPES_MAX + 5; n += 1) store.add(batch(n, BEGIN, `type ${n}`), BEGIN);
    const { totals } = store.counts(BEGIN);
    expect(Object.keys(totals)).toHaveLength(TYPES_MAX + 1);
    expect(totals['(others)']?.events).toBe(5);
    store.add(batch(900, BEGIN, 'type 1'), BEGIN);
    expect(store.counts(BEGIN).totals['type 1']?.events).toBe(2);
  });
});

it('forgets the oldest ids beyond its limit, also of those that came after it counted them', async () => {
  await runInDurableObject(quality('many ids'), (_, state) => {
    const ids = () => state.storage.sql.exec('select count(*) as ids from counted').one()['ids'];
    state.storage.sql.exec(
      `with recursive other (n) as (select 1 union all select n + 1 from other where n < ?)
       insert into counted (id, minute) select 'id ' || n, ? + n * 2 / ? from other`,
      BATCHES_MAX,
      BEGIN,
      BATCHES_MAX,
    );
    const store = new QualityStore(state.storage);
    store.prune(BEGIN + 2);
    expect(ids()).toBe(BATCHES_MAX);
    store.add(batch(1, BEGIN + 2), BEGIN + 2);
    store.add(batch(2, BEGIN + 2), BEGIN + 2);
    store.prune(BEGIN + 2);
    expect(ids()).toBe(BATCHES_MAX);
    expect(store.uncounted([idOf(1), idOf(2)])).toEqual([]);
  });
});

it('prunes by its alarm while rows can expire, and is idle afterwards', async () => {
  const object = quality('alarm');
  await object.add(batch(1, Math.floor(Date.now() / 60_000)));
  expect(await runDurableObjectAlarm(object)).toBe(true);
  await runInDurableObject(object, async (_, state) => {
    // It has rows that will be old some day, so it looks again.
    expect(await state.storage.getAlarm()).not.toBeNull();
    state.storage.sql.exec('delete from counted');
    state.storage.sql.exec('update buckets set bucket = 1 where width > 0');
  });
  expect(await runDurableObjectAlarm(object)).toBe(true);
  await runInDurableObject(object, async (_, state) => {
    expect(await state.storage.getAlarm()).toBeNull();
    expect(state.storage.sql.exec('select width from buckets').toArray()).toEqual([{ width: 0 }]);
  });
});

it('refuses a value that is not a batch', async () => {
  await runInDurableObject(quality('refusing'), async (object) => {
    const valid = batch(1, 1);
    await expect(object.add({ ...valid, id: 'x' })).rejects.toThrow();
    await expect(object.add({ ...valid, types: { t: tally(-1) } })).rejects.toThrow();
    await expect(object.add({ ...valid, types: { t: tally(1, 2) } })).rejects.toThrow();
    expect((await object.counts()).totals).toEqual({});
  });
});
