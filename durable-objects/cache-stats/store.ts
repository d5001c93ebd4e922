import * as z from 'zod';
import {
  type CounterBatch,
  CounterSample,
  DROPPED,
  type IsolateReport,
} from '../../src/platform/counters.ts';
import { migrate } from '../sqlite-migrations.ts';
import { MIGRATIONS } from './migrations.ts';

/** Minutes that are kept separately: the longest window and the current minute. */
const MINUTES_KEPT = 61;
/** An isolate that has been silent for this long is forgotten, in minutes. */
const ISOLATE_KEPT_MINUTES = 120;
/** The most isolates that are remembered, most recent first: five times as many as one object can serve. */
const ISOLATES_MAX = 10_000;
/** An isolate that has been silent for longer than this does not count as active, in minutes. */
const ISOLATE_ACTIVE_MINUTES = 5;
/** The most series. Views times outcomes are a few hundred. Counts of further series are added to `DROPPED` only. */
export const SERIES_MAX = 2_000;

const Series = z.tuple([CounterSample.shape.name, CounterSample.shape.labels]);

/** Counters in the object's own SQLite: totals that only grow, and the counts of each of the last minutes. */
export class CounterStore {
  readonly #storage: DurableObjectStorage;
  /** The minute of the last removal of old rows. Once a minute is enough: it reads every isolate's row. */
  #prunedMinute = Number.NEGATIVE_INFINITY;
  /** The number of series, kept in memory because counting them for each batch would read them all. */
  #seriesCount: number;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    migrate(storage, MIGRATIONS);
    this.#seriesCount = Number(storage.sql.exec('select count(*) as series from totals').one()['series']);
  }

  /** Adds a batch, unless it was added before. */
  add({ isolate, n, counters, memoryBytes = 0 }: CounterBatch, minute: number): void {
    const { sql } = this.#storage;
    this.#seriesCount = this.#storage.transactionSync(() => {
      const [known] = sql.exec<{ n: number }>('select n from isolates where id = ?', isolate).toArray();
      if (known !== undefined && known.n >= n) return this.#seriesCount;
      sql.exec(
        'insert or replace into isolates (id, n, minute, memory_bytes) values (?, ?, ?, ?)',
        isolate,
        n,
        minute,
        memoryBytes,
      );
      return this.#addCounters(counters, minute);
    });
    if (minute > this.#prunedMinute) this.#prune(minute);
  }

  totals(): CounterSample[] {
    return this.#read('select series, value from totals');
  }

  /** The counts of the last `minutes` whole minutes and of the current one. */
  within(minutes: number, minute: number): CounterSample[] {
    return this.#read(
      'select series, sum(value) as value from minutes where minute >= ? group by series',
      minute - minutes,
    );
  }

  isolates(minute: number): IsolateReport {
    const row = this.#storage.sql
      .exec<{ active: number; bytes: number }>(
        'select count(*) as active, coalesce(sum(memory_bytes), 0) as bytes from isolates where minute >= ?',
        minute - ISOLATE_ACTIVE_MINUTES,
      )
      .one();
    return { active: row.active, memoryBytes: row.bytes };
  }

  /** @returns the number of series after the call. */
  #addCounters(counters: readonly CounterSample[], minute: number): number {
    let series = this.#seriesCount;
    let dropped = 0;
    for (const sample of counters) {
      const text = JSON.stringify([sample.name, sorted(sample.labels)]);
      const known = this.#storage.sql.exec('select 1 from totals where series = ?', text).toArray();
      if (known.length === 0 && series >= SERIES_MAX) {
        dropped += sample.value;
        continue;
      }
      if (known.length === 0) series += 1;
      this.#raise(text, sample.value, minute);
    }
    // `DROPPED` is outside the limit, so that dropped counts always have a series.
    if (dropped > 0) this.#raise(JSON.stringify([DROPPED, {}]), dropped, minute);
    return series;
  }

  #raise(series: string, value: number, minute: number): void {
    const { sql } = this.#storage;
    sql.exec(
      'insert into totals (series, value) values (?, ?) on conflict (series) do update set value = value + excluded.value',
      series,
      value,
    );
    sql.exec(
      'insert into minutes (minute, series, value) values (?, ?, ?) on conflict (minute, series) do update set value = value + excluded.value',
      minute,
      series,
      value,
    );
  }

  #prune(minute: number): void {
    const { sql } = this.#storage;
    this.#storage.transactionSync(() => {
      sql.exec('delete from minutes where minute <= ?', minute - MINUTES_KEPT);
      sql.exec('delete from isolates where minute <= ?', minute - ISOLATE_KEPT_MINUTES);
      sql.exec(
        'delete from isolates where id in (select id from isolates order by minute desc limit -1 offset ?)',
        ISOLATES_MAX,
      );
    });
    this.#prunedMinute = minute;
  }

  #read(query: string, ...bindings: number[]): CounterSample[] {
    const rows = this.#storage.sql.exec<{ series: string; value: number }>(query, ...bindings);
    return [...rows].map(({ series, value }) => {
      const [name, labels] = Series.parse(JSON.parse(series));
      return { name, labels, value };
    });
  }
}

/** Sorts the labels, so that a series has one text whatever the order of its labels. */
function sorted(labels: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
}
