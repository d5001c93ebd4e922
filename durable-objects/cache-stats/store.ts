import * as z from 'zod';
import {
  SERIES_RANGES,
  type SeriesAnswer,
  type SeriesQuestion,
  SeriesSum,
} from '../../src/operations/series.ts';
import {
  type CounterBatch,
  CounterSample,
  type ExemplarSample,
  type IsolateReport,
  type PeerFailure,
} from '../../src/platform/counters.ts';
import { migrate } from '../sqlite-migrations.ts';
import { MIGRATIONS } from './migrations.ts';
import { CounterRollups, SavedCounts } from './rollups.ts';
import { CounterTally, type Counts, MINUTES_KEPT } from './tally.ts';

const Series = z.tuple([CounterSample.shape.name, CounterSample.shape.labels]);
const SavedIsolates = z.array(z.tuple([z.string(), z.int(), z.int(), z.int()]));

/**
 * The counters, in memory and in the object's own SQLite. There, each minute is one row, and so are all totals and all
 * isolates: the platform charges for rows written, so a row for each series and call cost more than the reads that it
 * counted.
 */
export class CounterStore {
  readonly #storage: DurableObjectStorage;
  readonly #tally = new CounterTally();
  readonly #rollups: CounterRollups;
  /** Name and labels of each series; its number is its position and one. */
  readonly #series: z.output<typeof Series>[] = [];
  /** The number of series that are saved. */
  #savedSeries: number;
  /** The minutes whose counts have changed since they were saved. */
  readonly #unsaved = new Set<number>();
  #prunedMinute = Number.NEGATIVE_INFINITY;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    migrate(storage, MIGRATIONS);
    this.#rollups = new CounterRollups(storage);
    this.#load();
    this.#savedSeries = this.#tally.series.size;
  }

  /** Adds a batch, unless it was added before. */
  add(batch: CounterBatch, minute: number): void {
    if (this.#tally.add(batch, minute)) this.#unsaved.add(minute);
  }

  get isSaved(): boolean {
    return this.#unsaved.size === 0;
  }

  /** Writes what has changed since the last save, in one transaction. */
  save(): void {
    if (this.isSaved) return;
    const { sql } = this.#storage;
    const newest = Math.max(...this.#unsaved);
    this.#storage.transactionSync(() => {
      for (const [text, number] of [...this.#tally.series].slice(this.#savedSeries))
        sql.exec('insert into series (number, text) values (?, ?)', number, text);
      for (const minute of this.#unsaved)
        sql.exec(
          'insert or replace into counted_minutes (minute, counts) values (?, ?)',
          minute,
          JSON.stringify([...(this.#tally.minutes.get(minute) ?? [])]),
        );
      this.#put('totals', [...this.#tally.totals]);
      const isolates = [...this.#tally.isolates].map(([id, known]) => [
        ...[id, known.n, known.minute, known.memoryBytes],
      ]);
      this.#put('isolates', isolates);
      this.#rollups.roll(newest);
      if (newest > this.#prunedMinute)
        sql.exec('delete from counted_minutes where minute <= ?', newest - MINUTES_KEPT);
    });
    this.#prunedMinute = newest;
    this.#savedSeries = this.#tally.series.size;
    this.#unsaved.clear();
  }

  totals(): CounterSample[] {
    return this.#samples(this.#tally.totals);
  }

  /** The counts of the last `minutes` whole minutes and of the current one. */
  within(minutes: number, minute: number): CounterSample[] {
    return this.#samples(this.#tally.within(minutes, minute));
  }

  get exemplars(): ExemplarSample[] {
    return this.#tally.exemplars;
  }

  get failures(): PeerFailure[] {
    return this.#tally.failures;
  }

  /** The counts of a range of time, by its steps. */
  over(question: SeriesQuestion, minute: number): SeriesAnswer {
    const sum = new SeriesSum(question, minute);
    const { stepMinutes } = SERIES_RANGES[question.range];
    const spans = this.#rollups.spans(stepMinutes, sum.firstMinute);
    // Minutes that a block has already are left out, unless the steps are minutes themselves.
    const since = stepMinutes === 1 ? 0 : this.#rollups.fineTo;
    for (const [counted, counts] of this.#tally.minutes)
      if (counted >= since) spans.push({ minute: counted, counts: [...counts] });
    const known = this.#known();
    for (const { minute: counted, counts } of spans)
      for (const [number, value] of counts) {
        const [name, labels] = known[number - 1] ?? ['', {}];
        sum.add(counted, name, labels, value);
      }
    return sum.answer();
  }

  isolates(minute: number): IsolateReport {
    return this.#tally.activeIsolates(minute);
  }

  #load(): void {
    const { sql } = this.#storage;
    for (const { number, text } of sql.exec<{ number: number; text: string }>(
      'select number, text from series order by number',
    ))
      this.#tally.series.set(text, number);
    for (const [series, value] of SavedCounts.parse(this.#get('totals')))
      this.#tally.totals.set(series, value);
    for (const { minute, counts } of sql.exec<{ minute: number; counts: string }>(
      'select minute, counts from counted_minutes',
    ))
      this.#tally.minutes.set(minute, new Map(SavedCounts.parse(JSON.parse(counts))));
    for (const [id, n, minute, memoryBytes] of SavedIsolates.parse(this.#get('isolates')))
      this.#tally.isolates.set(id, { n, minute, memoryBytes });
  }

  #get(name: 'totals' | 'isolates'): unknown {
    const [row] = this.#storage.sql
      .exec<{ value: string }>('select value from saved where name = ?', name)
      .toArray();
    return row === undefined ? [] : JSON.parse(row.value);
  }

  #put(name: 'totals' | 'isolates', value: unknown): void {
    const { sql } = this.#storage;
    sql.exec('insert or replace into saved (name, value) values (?, ?)', name, JSON.stringify(value));
  }

  #samples(counts: Counts): CounterSample[] {
    const known = this.#known();
    return [...counts].map(([number, value]) => {
      const [name, labels] = known[number - 1] ?? ['', {}];
      return { name, labels, value };
    });
  }

  /** Parses the texts of series that came since the last call. */
  #known(): readonly z.output<typeof Series>[] {
    for (const text of [...this.#tally.series.keys()].slice(this.#series.length))
      this.#series.push(Series.parse(JSON.parse(text)));
    return this.#series;
  }
}
