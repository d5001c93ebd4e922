import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { expect, it } from 'vitest';
import { CounterStore } from '../../durable-objects/cache-stats/store.ts';
import type { SeriesRange } from '../../src/operations/series.ts';
import { CountedStorage } from '../support/worker/counted-storage.ts';

const METRIC = 'millrace_http_requests_total';
/** The begin of a block of three hours, in minutes since the Unix epoch. */
const START = Date.UTC(2030, 0, 1) / 60_000;

const stats = (name: string) => env.CACHE_STATS.getByName(name);

interface Counted {
  readonly minute: number;
  readonly value: number;
  readonly route?: string;
}

/** Counts in the given minutes after {@link START}, saved after each, and asks in the last of them. */
async function countedOver(name: string, counts: readonly Counted[], range: SeriesRange, anew = false) {
  return await runInDurableObject(stats(name), (_, { storage }) => {
    let store = new CounterStore(storage);
    for (const [at, { minute, value, route = '/v1/a' }] of counts.entries()) {
      const counters = [{ name: METRIC, labels: { method: 'GET', route, status: '200' }, value }];
      store.add({ isolate: 'a', n: at + 1, counters }, START + minute);
      store.save();
      if (anew) store = new CounterStore(storage);
    }
    const question = { range, metrics: [METRIC], by: ['route'] };
    return store.over(question, START + (counts.at(-1)?.minute ?? 0));
  });
}

const sum = (values: readonly number[] = []) => values.reduce((all, value) => all + value, 0);

it('gives each minute of the last hour, kept apart by the labels that are asked for', async () => {
  const answer = await countedOver(
    'hour',
    [
      { minute: 0, value: 100 },
      { minute: 100, value: 3 },
      { minute: 101, value: 4, route: '/v1/b' },
      { minute: 103, value: 5 },
    ],
    '1h',
  );
  expect(answer).toMatchObject({ stepMinutes: 1, steps: 60, omitted: 0 });
  expect(answer.firstMinute).toBe(START + 44);
  const [a, b] = answer.series;
  expect([a?.labels, sum(a?.values), a?.values[56], a?.values[59]]).toEqual([{ route: '/v1/a' }, 8, 3, 5]);
  expect([b?.labels, b?.values[57]]).toEqual([{ route: '/v1/b' }, 4]);
});

it.each([false, true])(
  'counts everything of a day once, in blocks and in minutes (evicted: %s)',
  async (anew) => {
    const counts = Array.from({ length: 200 }, (_, at) => ({ minute: 7 * at, value: at + 1 }));
    const answer = await countedOver(`day-${anew}`, counts, '24h', anew);
    const [series] = answer.series;
    const inRange = counts.filter(({ minute }) => START + minute >= answer.firstMinute);
    expect(inRange.length).toBeGreaterThan(190);
    for (const [step, value] of (series?.values ?? []).entries()) {
      const from = answer.firstMinute - START + step * 10;
      const own = inRange.filter(({ minute }) => minute >= from && minute < from + 10);
      expect([step, value]).toEqual([step, sum(own.map((count) => count.value))]);
    }
  },
);

it('counts everything of a month once, over silences of days', async () => {
  const day = 1_440;
  const counts = [0, 1, 2, 185, 190, day, day + 1, 9 * day, 9 * day + 3, 29 * day, 29 * day + 11].map(
    (minute) => ({
      minute,
      value: minute + 1,
    }),
  );
  const answer = await countedOver('month', counts, '30d', true);
  const [series] = answer.series;
  expect(sum(series?.values)).toBe(sum(counts.map(({ value }) => value)));
  const stepOf = (minute: number) => Math.floor((START + minute - answer.firstMinute) / 180);
  expect(series?.values[stepOf(0)]).toBe(1 + 2 + 3);
  expect(series?.values[stepOf(185)]).toBe(186 + 191);
  expect(series?.values[stepOf(29 * day)]).toBe(29 * day + 1 + 29 * day + 12);
});

it('forgets blocks that no range needs', async () => {
  const day = 1_440;
  const counts = Array.from({ length: 70 }, (_, at) => ({ minute: at * day, value: 1 }));
  await countedOver('old', counts, '30d');
  const rows = await runInDurableObject(stats('old'), (_, { storage }) =>
    storage.sql
      .exec<{ width: number; n: number }>('select width, count(*) as n from rolled group by width')
      .toArray(),
  );
  expect(rows).toEqual([
    { width: 10, n: 1 },
    { width: 180, n: 30 },
  ]);
});

it('adds a row each ten minutes and each three hours to those of a save, and reads a row for each block', async () => {
  await runInDurableObject(stats('rows'), (_, { storage: own }) => {
    const counted = new CountedStorage(own);
    const store = new CounterStore(counted.storage);
    const counters = [{ name: METRIC, labels: { method: 'GET', route: '/v1/a', status: '200' }, value: 1 }];
    const saves = Array.from({ length: 1_500 }, (_, minute) => {
      store.add({ isolate: 'a', n: minute + 1, counters }, START + minute);
      return counted.counted(() => store.save()).written;
    });
    // The minute, the totals and the isolates; once a minute is dropped for a new one, that is a row as well.
    const within = saves.filter((_, minute) => minute > 70 && minute % 10 !== 0);
    expect(new Set(within)).toEqual(new Set([4]));
    expect(
      Math.max(...saves.filter((_, minute) => minute % 10 === 0 && minute % 180 !== 0)),
    ).toBeLessThanOrEqual(6);
    expect(Math.max(...saves)).toBeLessThanOrEqual(7);
    const rowsRead = (range: SeriesRange) =>
      counted.counted(() => store.over({ range, metrics: [METRIC], by: [] }, START + 1_499)).read;
    expect([rowsRead('1h'), rowsRead('24h'), rowsRead('30d')].map((rows) => rows <= 160)).toEqual([
      true,
      true,
      true,
    ]);
    expect(rowsRead('1h')).toBe(0);
  });
});
