import * as z from 'zod';

/** Counts by the number of their series, as a row has them. */
export const SavedCounts = z.array(z.tuple([z.int(), z.int()]));

/** Widths of blocks, in minutes: each is summed from the one before, and is kept so long. */
const FINE = { width: 10, keptMinutes: 1_450 } as const;
const COARSE = { width: 180, keptMinutes: 43_380 } as const;

/** The counts of a minute, or of a block that begins with it. */
export interface CountedSpan {
  readonly minute: number;
  readonly counts: readonly (readonly [series: number, value: number])[];
}

/**
 * Sums of minutes that are over: blocks of ten minutes for a day, and of three hours for a month. A block is one row, so
 * the history adds 0.1 written rows a minute to those of the counts, and as many again once the oldest are dropped.
 */
export class CounterRollups {
  readonly #storage: DurableObjectStorage;
  /** The first minute that is in no block of the width. */
  readonly #rolledTo = new Map<number, number>();

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    for (const { width } of [FINE, COARSE]) {
      const [row] = storage.sql
        .exec<{ bucket: number | null }>('select max(bucket) as bucket from rolled where width = ?', width)
        .toArray();
      this.#rolledTo.set(width, row?.bucket == null ? 0 : (row.bucket + 1) * width);
    }
  }

  /** The first minute that no block has. */
  get fineTo(): number {
    return this.#rolledTo.get(FINE.width) ?? 0;
  }

  /** Sums the blocks that are over. Call it before minutes are dropped, in the transaction that saves the others. */
  roll(minute: number): void {
    if (minute < this.fineTo + FINE.width) return;
    this.#rollInto(
      FINE.width,
      minute,
      'select minute, counts from counted_minutes where minute >= ? and minute < ?',
    );
    this.#rollInto(
      COARSE.width,
      minute,
      `select bucket * ${FINE.width} as minute, counts from rolled where width = ${FINE.width} and bucket * ${FINE.width} >= ? and bucket * ${FINE.width} < ?`,
    );
    // Only now: after a long silence the same call makes a fine block and sums it into a coarse one.
    for (const { width, keptMinutes } of [FINE, COARSE])
      this.#storage.sql.exec(
        'delete from rolled where width = ? and bucket < ?',
        ...[width, Math.floor((minute - keptMinutes) / width)],
      );
  }

  /** The blocks and minutes that make up the time since a minute, for steps of a width. Those of now are the caller's. */
  spans(stepMinutes: number, firstMinute: number): CountedSpan[] {
    if (stepMinutes < FINE.width) return [];
    const coarseTo = stepMinutes >= COARSE.width ? (this.#rolledTo.get(COARSE.width) ?? 0) : 0;
    const coarse = coarseTo > 0 ? this.#blocks(COARSE.width, firstMinute) : [];
    return [...coarse, ...this.#blocks(FINE.width, Math.max(firstMinute, coarseTo))];
  }

  #blocks(width: number, firstMinute: number): CountedSpan[] {
    const rows = this.#storage.sql.exec<{ bucket: number; counts: string }>(
      'select bucket, counts from rolled where width = ? and bucket >= ?',
      ...[width, Math.ceil(firstMinute / width)],
    );
    return [...rows].map(({ bucket, counts }) => ({
      minute: bucket * width,
      counts: SavedCounts.parse(JSON.parse(counts)),
    }));
  }

  #rollInto(width: number, minute: number, from: string): void {
    const end = Math.floor(minute / width) * width;
    const begin = this.#rolledTo.get(width) ?? 0;
    if (end <= begin) return;
    const { sql } = this.#storage;
    const sums = new Map<number, Map<number, number>>();
    for (const row of sql.exec<{ minute: number; counts: string }>(from, begin, end)) {
      const bucket = Math.floor(row.minute / width);
      const sum = sums.get(bucket) ?? new Map<number, number>();
      sums.set(bucket, sum);
      for (const [series, value] of SavedCounts.parse(JSON.parse(row.counts)))
        sum.set(series, (sum.get(series) ?? 0) + value);
    }
    for (const [bucket, sum] of sums)
      sql.exec(
        'insert or replace into rolled (width, bucket, counts) values (?, ?, ?)',
        ...[width, bucket, JSON.stringify([...sum])],
      );
    this.#rolledTo.set(width, end);
  }
}
