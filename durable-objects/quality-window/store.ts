import * as z from 'zod';
import {
  addTallies,
  addUp,
  EMPTY_TALLY,
  ScoreBatch,
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
/** The most ids that are remembered, newest first: some 100 MB with the counts of their batches. Pending batches are settled within minutes. */
export const BATCHES_MAX = 200_000;
/** The most event types that are counted separately; each has 215 buckets. Further types share one name. */
export const TYPES_MAX = 200;
const OTHER_TYPES = '(others)';

/** The most batches that wait to be added to the buckets. */
const WAITING_MAX = 1_000;
/**
 * The most characters of a waiting batch. A longer one is added to the buckets at once, because the row of a batch stays
 * until its id is forgotten.
 */
const WAITING_LENGTH_MAX = 4_096;

/** A batch that the buckets do not have yet, as its row has it. */
const Waiting = z.object({ minute: z.int(), types: ScoreBatch.shape.types });
type Waiting = z.output<typeof Waiting>;

interface Bucket {
  readonly width: number;
  readonly bucket: number;
}

/** The buckets that count a minute. Those that no window needs any more are left out. */
function bucketsOf(minute: number, nowMinute: number): Bucket[] {
  const timed = WIDTHS.flatMap((kept) => {
    const bucket = Math.floor(minute / kept.width);
    return bucket >= oldestKept(kept, nowMinute) ? [{ width: kept.width, bucket }] : [];
  });
  return [...timed, EVER];
}

/** Tallies by event type in buckets of time, in the object's own SQLite. */
export class QualityStore {
  readonly #storage: DurableObjectStorage;
  /**
   * How many ids are remembered; undefined until the first pruning after a start counts them. Each pruning would
   * otherwise read every id: 200,000 rows every ten minutes.
   */
  #batches: number | undefined;
  /** Batches of this minute that the buckets do not have yet, and the minute in which the last ones were added. */
  #waiting = 0;
  #addedUpMinute = Number.NEGATIVE_INFINITY;
  #last: number | undefined;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    migrate(storage, MIGRATIONS);
  }

  /**
   * Adds a batch, unless it was added before. A batch with a time in the future is counted as of now. It is on disk at
   * once: one row and its index, whatever its types. The buckets take the batches of a minute together.
   */
  add({ id, atMs, types }: ScoreBatch, nowMinute: number): void {
    const { sql } = this.#storage;
    const minute = Math.min(nowMinute, Math.floor(atMs / 60_000));
    const counts = JSON.stringify({ minute, types } satisfies Waiting);
    const isLarge = counts.length > WAITING_LENGTH_MAX;
    const n = this.#lastNumber() + 1;
    const isNew = this.#storage.transactionSync(() => {
      const insert =
        'insert into counted (n, id, minute, counts) values (?, ?, ?, ?) on conflict (id) do nothing';
      if (sql.exec(insert, n, id, nowMinute, isLarge ? null : counts).rowsWritten === 0) return false;
      if (isLarge) this.#raiseAll([{ minute, types }], nowMinute);
      return true;
    });
    if (!isNew) return;
    this.#last = n;
    if (this.#batches !== undefined) this.#batches += 1;
    this.#waiting += 1;
    if (nowMinute > this.#addedUpMinute || this.#waiting >= WAITING_MAX) this.#addUp(nowMinute);
  }

  /** Adds the waiting batches to their buckets. */
  #addUp(nowMinute: number): void {
    const { sql } = this.#storage;
    this.#storage.transactionSync(() => {
      const waiting = sql
        .exec<{ n: number; counts: string | null }>(
          'select n, counts from counted where n > (select n from added_up) order by n',
        )
        .toArray();
      const last = waiting.at(-1);
      if (last === undefined) return;
      this.#raiseAll(
        waiting.flatMap(({ counts }) => (counts === null ? [] : [Waiting.parse(JSON.parse(counts))])),
        nowMinute,
      );
      sql.exec('update added_up set n = ?', last.n);
    });
    this.#waiting = 0;
    this.#addedUpMinute = nowMinute;
  }

  /** Raises each bucket of these batches once. */
  #raiseAll(batches: readonly Waiting[], nowMinute: number): void {
    const raised = new Map<
      string,
      { readonly bucket: Bucket; readonly type: string; readonly tally: Tally }
    >();
    for (const { minute, types } of batches)
      for (const [type, tally] of Object.entries(types))
        for (const bucket of bucketsOf(minute, nowMinute)) {
          const key = JSON.stringify([bucket, type]);
          const before = raised.get(key)?.tally ?? EMPTY_TALLY;
          raised.set(key, { bucket, type, tally: addTallies(before, tally) });
        }
    const names = new Map<string, string>();
    for (const { bucket, type, tally } of raised.values()) {
      const name = names.get(type) ?? this.#nameOf(type);
      names.set(type, name);
      this.#raise(bucket, name, tally);
    }
  }

  /** The greatest number of a batch; `added_up` has it where all are forgotten. */
  #lastNumber(): number {
    this.#last ??= this.#count(
      'select max((select n from added_up), (select coalesce(max(n), 0) from counted)) as n',
    );
    return this.#last;
  }

  /** The ids of those batches that were not counted, as far as ids are remembered. */
  uncounted(ids: readonly string[]): string[] {
    return ids.filter(
      (id) => this.#storage.sql.exec('select 1 from counted where id = ?', id).toArray().length === 0,
    );
  }

  totals(minute: number): Tallies {
    this.#addUp(minute);
    return this.#ever();
  }

  #ever(): Tallies {
    return this.#within({ width: EVER.width, from: EVER.bucket, to: EVER.bucket });
  }

  counts(minute: number): QualityCounts {
    this.#addUp(minute);
    const each = (span: (window: WindowName, minute: number) => Span) =>
      Object.fromEntries(
        WINDOW_NAMES.map((window) => [window, this.#within(span(window, minute))]),
      ) as Record<WindowName, Tallies>;
    return {
      windows: each(spanOf),
      references: each(referenceSpanOf),
      totals: this.#ever(),
    };
  }

  /** Removes rows that no window needs any more; returns whether rows are left that will expire. */
  prune(minute: number): boolean {
    const { sql } = this.#storage;
    this.#addUp(minute);
    let batches = this.#batches ?? this.#count('select count(*) as n from counted');
    const hasMore = this.#storage.transactionSync(() => {
      for (const kept of WIDTHS)
        sql.exec('delete from buckets where width = ? and bucket < ?', kept.width, oldestKept(kept, minute));
      batches -= this.#forget(minute - BATCH_KEPT_MINUTES, batches);
      const left =
        'select exists (select 1 from buckets where width > 0) or exists (select 1 from counted) as n';
      return this.#count(left) > 0;
    });
    this.#batches = batches;
    return hasMore;
  }

  /** Forgets the ids of batches before a minute, and the oldest of too many. Numbers rise with the minutes. */
  #forget(oldestMinute: number, batches: number): number {
    const { sql } = this.#storage;
    let forgotten = 0;
    let last = 0;
    for (const { n, minute } of sql.exec<{ n: number; minute: number }>(
      'select n, minute from counted order by n',
    )) {
      if (minute >= oldestMinute && batches - forgotten <= BATCHES_MAX) break;
      forgotten += 1;
      last = n;
    }
    if (forgotten > 0) sql.exec('delete from counted where n <= ?', last);
    return forgotten;
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

  #raise({ width, bucket }: Bucket, type: string, tally: Tally): void {
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
