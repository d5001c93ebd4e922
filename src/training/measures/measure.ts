import { type Random, seededRandom } from '../../platform/random.ts';

/**
 * A measure of judged rows as a function of what each row counts, so that it can be computed again on resampled rows and
 * on a part of them; undefined where the rows that count do not define it.
 */
export type Measure = (weights: ArrayLike<number>) => number | undefined;

/** A measure with its interval. */
export interface Interval {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

export interface Resampling {
  readonly seed: number;
  /** 1,000 by default: the ends of a 95 % interval are then the 25th values from each side. */
  readonly resamples?: number;
  /** The share of resamples within the interval; 0.95 by default. */
  readonly level?: number;
  /**
   * Which unit each row belongs to, from 0: rows of a customer are drawn together, because they are not independent.
   * Without it each row is a unit.
   */
  readonly units?: ArrayLike<number>;
}

/**
 * A measure, with the percentile interval of the bootstrap (Efron, 1979): units are drawn with replacement, as many as
 * there are. The same rows and seed give the same interval.
 *
 * @param weights what each row counts before it is drawn.
 * @returns undefined if the rows do not define the measure. Resamples that do not are left out.
 */
export function intervalOf(
  measure: Measure,
  weights: ArrayLike<number>,
  { seed, resamples = 1_000, level = 0.95, units }: Resampling,
): Interval | undefined {
  const value = measure(weights);
  if (value === undefined) return undefined;
  const random = seededRandom(seed);
  const unitOf = units ?? Uint32Array.from(weights, (_, row) => row);
  const count = Array.from(unitOf).reduce((most, unit) => Math.max(most, unit + 1), 0);
  const drawn = new Float64Array(weights.length);
  const found: number[] = [];
  for (let resample = 0; resample < resamples; resample += 1) {
    const times = drawCounts(count, random);
    for (let row = 0; row < drawn.length; row += 1)
      drawn[row] = (weights[row] ?? 0) * (times[unitOf[row] ?? 0] ?? 0);
    const one = measure(drawn);
    if (one !== undefined) found.push(one);
  }
  found.sort((a, b) => a - b);
  const outside = Math.floor((found.length * (1 - level)) / 2 + 1e-9);
  return { value, low: found[outside] ?? value, high: found[found.length - 1 - outside] ?? value };
}

/** How often each unit is drawn. */
function drawCounts(count: number, random: Random): Uint32Array {
  const times = new Uint32Array(count);
  for (let draw = 0; draw < count; draw += 1) {
    const unit = Math.floor(random() * count);
    times[unit] = (times[unit] ?? 0) + 1;
  }
  return times;
}

/** The weighted mean of a number of each row, such as an error or the figure of a customer's ranking. */
export function meanOf(values: ArrayLike<number>): Measure {
  return (weights) => {
    let [sum, total] = [0, 0];
    for (let row = 0; row < values.length; row += 1) {
      const weight = weights[row] ?? 0;
      sum += weight * (values[row] ?? 0);
      total += weight;
    }
    return total === 0 ? undefined : sum / total;
  };
}

/** The same weights where rows are of a segment, and 0 elsewhere. */
export function within(
  segments: ArrayLike<string>,
  segment: string,
  weights: ArrayLike<number>,
): Float64Array {
  return Float64Array.from(weights, (weight, row) => (segments[row] === segment ? weight : 0));
}

/** A measure of each segment, with its interval, in the order of the segments' names. */
export function bySegment(
  measure: Measure,
  segments: readonly string[],
  weights: ArrayLike<number>,
  resampling: Resampling,
): ReadonlyMap<string, Interval | undefined> {
  const names = [...new Set(segments)].sort();
  return new Map(
    names.map((name) => [name, intervalOf(measure, within(segments, name, weights), resampling)]),
  );
}
