import {
  addTallies,
  addUp,
  EMPTY_TALLY,
  type ScoreBatch,
  type Tallies,
  Tally,
} from '../../src/pipeline/quality/tally.ts';
import {
  oldestKept,
  type QualityCounts,
  referenceSpanOf,
  type Span,
  spanOf,
  WIDTHS,
  WINDOW_NAMES,
  type WindowName,
} from '../../src/pipeline/quality/windows.ts';
import { migrate } from '../sqlite-migrations.ts';
import { MIGRATIONS } from './migrations.ts';

/** The bucket of the totals of all time has the width 0. */
const EVER = { width: 0, bucket: 0 } as const;
/** How long the id of a batch is remembered, in minutes: an hour longer than it may be sent again. */
const BATCH_KEPT_MINUTES = 25 * 60;
/** The most ids that are remembered, newest first: about 15 MB. Pending batches are settled within minutes. */
export const BATCHES_MAX = 200_000;
/** The most event types that are counted separately; each has 215 buckets. Further types share one name. */
export const TYPES_MAX = 200;
const OTHER_TYPES = '(others)';

/** Tallies by event type in buckets of time, in the object's own SQLite. */
export class QualityStore {
  readonly #storage: DurableObjectStorage;
  /**
   * How many ids are remembered; undefined until the first pruning after a start counts them. Each pruning would
   * otherwise read every id: 200,000 rows every ten minutes.
   */
  #batches: number | undefined;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    migrate(storage, MIGRATIONS);
  }

  /** Adds a batch, unless it was added before. A batch with a time in the future is counted as of now. */
  add({ id, atMs, types }: ScoreBatch, nowMinute: number): void {
    const { sql } = this.#storage;
    const minute = Math.min(nowMinute, Math.floor(atMs / 60_000));
    const isAdded = this.#storage.transactionSync(() => {
      const isNew =
        sql.exec('insert into batches (id, minute) values (?, ?) on conflict do nothing', id, nowMinute)
          .rowsWritten > 0;
      if (!isNew) return false;
      for (const [type, tally] of Object.entries(types)) {
        const known = this.#nameOf(type);
        for (const kept of WIDTHS) {
          const bucket = Math.floor(minute / kept.width);
          if (bucket >= oldestKept(kept, nowMinute)) this.#raise({ width: kept.width, bucket }, known, tally);
        }
        this.#raise(EVER, known, tally);
      }
      return true;
    });
    if (isAdded && this.#batches !== undefined) this.#batches += 1;
  }

  /** The ids of those batches that were not counted, as far as ids are remembered. */
  uncounted(ids: readonly string[]): string[] {
    return ids.filter(
      (id) => this.#storage.sql.exec('select 1 from batches where id = ?', id).toArray().length === 0,
    );
  }

  counts(minute: number): QualityCounts {
    const each = (span: (window: WindowName, minute: number) => Span) =>
      Object.fromEntries(
        WINDOW_NAMES.map((window) => [window, this.#within(span(window, minute))]),
      ) as Record<WindowName, Tallies>;
    return {
      windows: each(spanOf),
      references: each(referenceSpanOf),
      totals: this.#within({ width: EVER.width, from: EVER.bucket, to: EVER.bucket }),
    };
  }

  /** Removes rows that no window needs any more; returns whether rows are left that will expire. */
  prune(minute: number): boolean {
    const { sql } = this.#storage;
    let batches = this.#batches ?? this.#count('select count(*) as n from batches');
    const hasMore = this.#storage.transactionSync(() => {
      for (const kept of WIDTHS)
        sql.exec('delete from buckets where width = ? and bucket < ?', kept.width, oldestKept(kept, minute));
      const oldest = minute - BATCH_KEPT_MINUTES;
      batches -= this.#count('select count(*) as n from batches where minute < ?', oldest);
      sql.exec('delete from batches where minute < ?', oldest);
      if (batches > BATCHES_MAX) {
        sql.exec(
          'delete from batches where id in (select id from batches order by minute limit ?)',
          batches - BATCHES_MAX,
        );
        batches = BATCHES_MAX;
      }
      const left =
        'select exists (select 1 from buckets where width > 0) or exists (select 1 from batches) as n';
      return this.#count(left) > 0;
    });
    this.#batches = batches;
    return hasMore;
  }

  #count(query: string, ...bindings: number[]): number {
    return this.#storage.sql.exec<{ n: number }>(query, ...bindings).one().n;
  }

  #nameOf(type: string): string {
    const { sql } = this.#storage;
    const isKnown = sql.exec(
      'select 1 from buckets where width = ? and bucket = ? and type = ?',
      EVER.width,
      EVER.bucket,
      type,
    );
    if (isKnown.toArray().length > 0) return type;
    const { types } = sql
      .exec<{ types: number }>(
        'select count(*) as types from buckets where width = ? and bucket = ?',
        EVER.width,
        EVER.bucket,
      )
      .one();
    return types < TYPES_MAX ? type : OTHER_TYPES;
  }

  #raise({ width, bucket }: { width: number; bucket: number }, type: string, tally: Tally): void {
    const { sql } = this.#storage;
    const [row] = sql
      .exec<{ tally: string }>(
        'select tally from buckets where width = ? and bucket = ? and type = ?',
        width,
        bucket,
        type,
      )
      .toArray();
    const before = row === undefined ? EMPTY_TALLY : Tally.parse(JSON.parse(row.tally));
    sql.exec(
      'insert or replace into buckets (width, bucket, type, tally) values (?, ?, ?, ?)',
      width,
      bucket,
      type,
      JSON.stringify(addTallies(before, tally)),
    );
  }

  #within({ width, from, to }: Span): Tallies {
    const rows = this.#storage.sql.exec<{ type: string; tally: string }>(
      'select type, tally from buckets where width = ? and bucket between ? and ? order by bucket',
      width,
      from,
      to,
    );
    return addUp([...rows].map(({ type, tally }) => ({ type, tally: Tally.parse(JSON.parse(tally)) })));
  }
}
