import * as z from 'zod';
import { CounterSample } from '../../src/platform/counters.ts';
import { migrate } from '../sqlite-migrations.ts';
import { MIGRATIONS } from './migrations.ts';

/** Minutes that are kept apart: the longest window, and the one that has just begun. */
const MINUTES_KEPT = 61;
/** An isolate that has been silent for this long is gone, in minutes. */
const ISOLATE_KEPT_MINUTES = 120;
/** Series in all: views times outcomes are a few hundred. What comes beyond is counted as `dropped`. */
export const SERIES_MAX = 2_000;

const Series = z.tuple([CounterSample.shape.name, CounterSample.shape.labels]);

/** Counters in the object's own SQLite: totals that only grow, and what was added in each of the last minutes. */
export class CounterStore {
  readonly #storage: DurableObjectStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    migrate(storage, MIGRATIONS);
  }

  /** Adds a batch, unless it has been added before. */
  add(isolate: string, n: number, counters: readonly CounterSample[], minute: number): void {
    const { sql } = this.#storage;
    this.#storage.transactionSync(() => {
      const [known] = sql.exec<{ n: number }>('select n from isolates where id = ?', isolate).toArray();
      if (known !== undefined && known.n >= n) return;
      sql.exec('insert or replace into isolates (id, n, minute) values (?, ?, ?)', isolate, n, minute);
      let room = SERIES_MAX - Number(sql.exec('select count(*) as series from totals').one()['series']);
      for (const { name, labels, value } of counters) {
        const series = JSON.stringify([name, sorted(labels)]);
        const isNew = sql.exec('select 1 from totals where series = ?', series).toArray().length === 0;
        if (isNew && room <= 0) continue;
        if (isNew) room -= 1;
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
      sql.exec('delete from minutes where minute <= ?', minute - MINUTES_KEPT);
      sql.exec('delete from isolates where minute <= ?', minute - ISOLATE_KEPT_MINUTES);
    });
  }

  totals(): CounterSample[] {
    return this.#read('select series, value from totals');
  }

  /** What was added in a window of minutes that ends with this one, which has only begun. */
  within(minutes: number, minute: number): CounterSample[] {
    return this.#read(
      'select series, sum(value) as value from minutes where minute > ? group by series',
      minute - minutes,
    );
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
