import * as z from 'zod';
import type { BadOfAll } from './indicators.ts';

/**
 * Counts of events by their age, for the windows of the rules. They are kept in buckets of three widths, so that a short
 * window is exact and a long one takes few rows. A bucket of n minutes ends with a minute that n divides.
 */
export const WIDTHS = [
  // Windows of up to 6 h.
  { minutes: 1, kept: 361 },
  // Windows of up to three days; a window has up to 14 minutes more than it says, below 1 %.
  { minutes: 15, kept: 289 },
  // 30 days.
  { minutes: 360, kept: 121 },
] as const;
export type Width = (typeof WIDTHS)[number]['minutes'];
/** The minutes over which a budget is stated. */
export const BUDGET_MINUTES = 43_200;

/** The most names that are counted: objectives and services, each once. */
export const COUNTED_MAX = 200;

/** Counts by name. */
export type Counts = ReadonlyMap<string, BadOfAll>;

const NONE: BadOfAll = { bad: 0, all: 0 };

/** The bucket of a minute; the counts of minute m are those since minute m - 1. */
export function bucketOf(width: Width, minute: number): number {
  return Math.ceil(minute / width);
}

/** The oldest bucket of a width that is kept. */
export function oldestKept({ minutes, kept }: (typeof WIDTHS)[number], minute: number): number {
  return bucketOf(minutes, minute) - kept + 1;
}

/** All buckets, in memory. */
export class CountHistory {
  readonly #buckets = new Map<Width, Map<number, Map<string, BadOfAll>>>(
    WIDTHS.map(({ minutes }) => [minutes, new Map()]),
  );

  /** Puts a stored bucket back. */
  restore(width: Width, bucket: number, counts: Counts): void {
    this.#of(width).set(bucket, new Map(counts));
  }

  /** Adds what happened since the minute before. Buckets that no window needs are dropped. */
  add(counts: Counts, minute: number): void {
    for (const width of WIDTHS) {
      const buckets = this.#of(width.minutes);
      const at = bucketOf(width.minutes, minute);
      const bucket = buckets.get(at) ?? new Map<string, BadOfAll>();
      buckets.set(at, bucket);
      for (const [name, { bad, all }] of counts) {
        if (all === 0 && bad === 0) continue;
        const known = bucket.get(name) ?? NONE;
        if (known === NONE && bucket.size >= COUNTED_MAX) continue;
        bucket.set(name, { bad: known.bad + bad, all: known.all + all });
      }
      const oldest = oldestKept(width, minute);
      for (const old of buckets.keys()) if (old < oldest) buckets.delete(old);
    }
  }

  /** The bucket of a minute. */
  bucket(width: Width, minute: number): Counts {
    return this.#of(width).get(bucketOf(width, minute)) ?? new Map();
  }

  /** Events of the last `minutes` up to and with the minute. */
  within(name: string, minutes: number, minute: number): BadOfAll {
    const width = WIDTHS.find((of) => minutes < of.minutes * of.kept)?.minutes ?? 360;
    const newest = bucketOf(width, minute);
    const oldest = newest - Math.ceil(minutes / width) + 1;
    let [bad, all] = [0, 0];
    for (const [bucket, counts] of this.#of(width)) {
      if (bucket < oldest || bucket > newest) continue;
      const counted = counts.get(name);
      if (counted === undefined) continue;
      bad += counted.bad;
      all += counted.all;
    }
    return { bad, all };
  }

  /** The buckets of a width with this name, the oldest first. */
  series(name: string, width: Width): { readonly bucket: number; readonly counts: BadOfAll }[] {
    return [...this.#of(width)]
      .map(([bucket, counts]) => ({ bucket, counts: counts.get(name) ?? NONE }))
      .sort((a, b) => a.bucket - b.bucket);
  }

  #of(width: Width): Map<number, Map<string, BadOfAll>> {
    const buckets = this.#buckets.get(width);
    if (buckets === undefined) throw new RangeError(`No bucket has ${width} minutes.`);
    return buckets;
  }
}

/**
 * What was counted since the last reading of totals. A total that has fallen lost counts with an object that was evicted;
 * nothing is counted then, where Prometheus would count the whole total again.
 */
export function increaseOf(before: Counts | undefined, now: Counts): Map<string, BadOfAll> {
  const increase = new Map<string, BadOfAll>();
  if (before === undefined) return increase;
  for (const [name, { bad, all }] of now) {
    const known = before.get(name) ?? (isFirst(name) ? { bad, all } : NONE);
    increase.set(name, { bad: Math.max(0, bad - known.bad), all: Math.max(0, all - known.all) });
  }
  return increase;
}

/** An objective that was not measured before counts from now on; a service that was never called before had no calls. */
function isFirst(name: string): boolean {
  return !name.startsWith('peer:');
}

const StoredCounts = z.record(z.string(), z.tuple([z.number().nonnegative(), z.number().nonnegative()]));

/** Counts as a text, for a row. */
export function countsText(counts: Counts): string {
  return JSON.stringify(Object.fromEntries([...counts].map(([name, { bad, all }]) => [name, [bad, all]])));
}

export function parseCounts(text: string): Map<string, BadOfAll> {
  const stored = StoredCounts.parse(JSON.parse(text));
  return new Map(Object.entries(stored).map(([name, [bad, all]]) => [name, { bad, all }]));
}
