/** What the counts of `GET /v1/admin/series` come to: rates, shares and durations. Pure. */
import { memberOf } from '../answers.ts';
import { listOf, textOf } from '../registry.ts';

export interface Series {
  readonly metric: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly values: readonly number[];
}

/** An answer of the route. */
export interface Counts {
  readonly stepMinutes: number;
  /** In minutes since the Unix epoch. */
  readonly firstMinute: number;
  readonly steps: number;
  readonly series: readonly Series[];
}

export type Labels = Readonly<Record<string, string>>;

/** @throws Error for JSON that is no such answer. */
export function countsOf(json: unknown): Counts {
  const number = (name: string): number => {
    const value = memberOf(json, name);
    if (typeof value !== 'number') throw new Error(`The answer has no ${name}.`);
    return value;
  };
  return {
    stepMinutes: number('stepMinutes'),
    firstMinute: number('firstMinute'),
    steps: number('steps'),
    series: listOf(json, 'series').map((series) => ({
      metric: textOf(series, 'metric'),
      labels: labelsOf(memberOf(series, 'labels')),
      values: listOf(series, 'values').map(Number),
    })),
  };
}

function labelsOf(value: unknown): Labels {
  const entries = typeof value === 'object' && value !== null ? Object.entries(value) : [];
  return Object.fromEntries(entries.map(([name, text]) => [name, String(text)]));
}

/** The begin of each step, in seconds since the Unix epoch. */
export function timesOf({ firstMinute, stepMinutes, steps }: Counts): number[] {
  return Array.from({ length: steps }, (_, step) => (firstMinute + step * stepMinutes) * 60);
}

/** The counts of each step, over the series that fit. */
export function sumOf(
  counts: Counts,
  metric: string,
  fits: (labels: Labels) => boolean = () => true,
): number[] {
  const sum = new Array<number>(counts.steps).fill(0);
  for (const series of counts.series) {
    if (series.metric !== metric || !fits(series.labels)) continue;
    for (const [step, value] of series.values.entries()) sum[step] = (sum[step] ?? 0) + value;
  }
  return sum;
}

/** The counts of each step by the value of a label, those with the most counts first. */
export function sumsBy(
  counts: Counts,
  metric: string,
  nameOf: (labels: Labels) => string,
): Map<string, number[]> {
  const groups = new Map<string, number[]>();
  for (const { metric: own, labels, values } of counts.series) {
    if (own !== metric) continue;
    const name = nameOf(labels);
    const sum = groups.get(name) ?? new Array<number>(counts.steps).fill(0);
    groups.set(name, sum);
    for (const [step, value] of values.entries()) sum[step] = (sum[step] ?? 0) + value;
  }
  return new Map([...groups].sort(([, a], [, b]) => totalOf(b) - totalOf(a)));
}

export function totalOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

/** Counts per second of each step. The present step is not over, so it is divided by the time that has passed of it. */
export function perSecond(counts: Counts, values: readonly number[], nowMs: number): (number | null)[] {
  return values.map((value, step) => {
    const beginS = (counts.firstMinute + step * counts.stepMinutes) * 60;
    const seconds = Math.min(counts.stepMinutes * 60, nowMs / 1_000 - beginS);
    return seconds <= 0 ? null : value / Math.max(seconds, MEASURED_S_MIN);
  });
}
/** A step that has just begun says little. */
const MEASURED_S_MIN = 10;

/** A part of a whole in each step; null where there is no whole. */
export function shareOf(part: readonly number[], whole: readonly number[]): (number | null)[] {
  return whole.map((all, step) => (all === 0 ? null : (part[step] ?? 0) / all));
}

/** Buckets of durations as the counters have them, by upper bound in milliseconds, not cumulative. */
export type Buckets = ReadonlyMap<number, number>;

export function bucketsOf(
  counts: Counts,
  metric: string,
  fits: (labels: Labels) => boolean = () => true,
): Buckets {
  const buckets = new Map<number, number>();
  for (const { metric: own, labels, values } of counts.series) {
    if (own !== metric || !fits(labels)) continue;
    const bound = boundOf(labels['le'] ?? '');
    buckets.set(bound, (buckets.get(bound) ?? 0) + totalOf(values));
  }
  return buckets;
}

/** An upper bound of a bucket, in milliseconds, from its label in seconds. */
export function boundOf(le: string): number {
  return le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le) * 1_000;
}

/**
 * The duration that a part of the requests did not exceed, in milliseconds, between the bounds of its bucket as if its
 * requests were spread evenly, as Prometheus' `histogram_quantile` does. Infinity beyond the last bound; null without requests.
 *
 * @param part 0.99 for the 99th percentile.
 */
export function quantileOf(buckets: Buckets, part: number): number | null {
  const sorted = [...buckets].sort(([a], [b]) => a - b);
  const all = sorted.reduce((sum, [, count]) => sum + count, 0);
  if (all === 0) return null;
  const rank = part * all;
  let below = 0;
  for (const [bound, count] of sorted) {
    if (below + count >= rank && count > 0) {
      if (bound === Number.POSITIVE_INFINITY) return bound;
      const lower = BOUNDS_MS[BOUNDS_MS.indexOf(bound) - 1] ?? 0;
      return lower + ((bound - lower) * (rank - below)) / count;
    }
    below += count;
  }
  return Number.POSITIVE_INFINITY;
}

/** The upper bounds of the buckets: `DURATION_BOUNDS_MS` of the worker. */
export const BOUNDS_MS: readonly number[] = [5, 10, 25, 50, 100, 250, 1_000, 5_000, 10_000];

/** Replaces the last steps of counts by newer ones, and moves on where a new step has begun. */
export function withNewest(counts: Counts, newest: Counts): Counts {
  const shift = newest.firstMinute + newest.steps - (counts.firstMinute + counts.steps);
  if (counts.stepMinutes !== newest.stepMinutes || shift < 0) return counts;
  const firstMinute = counts.firstMinute + shift;
  const at = newest.firstMinute - firstMinute;
  const keyOf = ({ metric, labels }: Series) => JSON.stringify([metric, Object.entries(labels).sort()]);
  const fresh = new Map(newest.series.map((series) => [keyOf(series), series]));
  const moved = counts.series.map((series) => {
    const values = [
      ...series.values.slice(shift),
      ...new Array<number>(Math.min(shift, counts.steps)).fill(0),
    ];
    const own = fresh.get(keyOf(series));
    fresh.delete(keyOf(series));
    for (let step = 0; step < newest.steps; step += 1)
      if (at + step >= 0) values[at + step] = own?.values[step] ?? 0;
    return { ...series, values };
  });
  const added = [...fresh.values()].map((series) => {
    const values = new Array<number>(counts.steps).fill(0);
    for (const [step, value] of series.values.entries()) if (at + step >= 0) values[at + step] = value;
    return { ...series, values };
  });
  return { ...counts, firstMinute, series: [...moved, ...added] };
}
