import * as z from 'zod';
import {
  type CounterBatch,
  CounterSample,
  DROPPED,
  type IsolateReport,
} from '../../src/platform/counters.ts';
import { migrate } from '../sqlite-migrations.ts';
import { MIGRATIONS } from './migrations.ts';

/** Minutes that are kept apart: the longest window, and the one that has just begun. */
const MINUTES_KEPT = 61;
/** An isolate that has been silent for this long is gone, in minutes. */
const ISOLATE_KEPT_MINUTES = 120;
/** Isolates that are remembered, those that were silent for longest forgotten first: five times what one object bears. */
const ISOLATES_MAX = 10_000;
/** An isolate that has been silent for longer than this is not counted as active, in minutes. */
const ISOLATE_ACTIVE_MINUTES = 5;
/** Series in all: views times outcomes are a few hundred. What comes beyond is added to `DROPPED` alone. */
export const SERIES_MAX = 2_000;

const Series = z.tuple([CounterSample.shape.name, CounterSample.shape.labels]);

/** Counters in the object's own SQLite: totals that only grow, and what was added in each of the last minutes. */
export class CounterStore {
  readonly #storage: DurableObjectStorage;
  /** When old rows were last removed: once a minute, because it reads every isolate's row. */
  #prunedMinute = Number.NEGATIVE_INFINITY;
  /** How many series there are; counting them anew with each batch would read them all. */
  #seriesCount: number;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    migrate(storage, MIGRATIONS);
    this.#seriesCount = Number(storage.sql.exec('select count(*) as series from totals').one()['series']);
  }

  /** Adds a batch, unless it has been added before. */
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

  /** What was added in the last so many whole minutes, and in the one that has begun. */
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

  /** @returns how many series there are now. */
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
    // Its own series is beside the bound, so that there is always room to tell.
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

/** One series has one text, in whatever order its labels were given. */
function sorted(labels: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
}
