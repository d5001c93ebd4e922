/**
 * Early warning: whether a share rises, and when it reaches a threshold. The test of Mann and Kendall (Kendall, Rank
 * Correlation Methods, 1975) asks whether it rises, the slope of Theil and Sen (Sen, JASA 63, 1968) how fast. Both are robust
 * against single outliers.
 */

/** One-sided: without a trend, one series in a thousand passes. */
const Z_MIN = 3.09;
/** A trend is sought over this many values. */
export const TREND_VALUES = 24;
const VALUES_MIN = 16;
/** How far ahead it is looked, in values. */
export const AHEAD_VALUES = 24;
const NEWEST = 3;

/**
 * In how many steps a rising series passes a threshold; undefined if it does not rise, has passed it already, or does not
 * pass it in `AHEAD_VALUES`.
 *
 * @param values one for each step, the oldest first; undefined for a step without events.
 */
export function stepsUntil(values: readonly (number | undefined)[], threshold: number): number | undefined {
  const known = values.flatMap((value, at) => (value === undefined ? [] : [{ at, value }]));
  if (known.length < VALUES_MIN || mannKendall(known.map(({ value }) => value)) < Z_MIN) return undefined;
  const slopes = known.flatMap((from, index) =>
    known.slice(index + 1).map((to) => (to.value - from.value) / (to.at - from.at)),
  );
  const slope = median(slopes);
  const now = median(known.slice(-NEWEST).map(({ value }) => value));
  if (slope <= 0 || now >= threshold) return undefined;
  const steps = Math.ceil((threshold - now) / slope);
  return steps <= AHEAD_VALUES ? steps : undefined;
}

/** The standard score of the number of pairs that rise less those that fall. Ties widen nothing, so they only lower it. */
function mannKendall(values: readonly number[]): number {
  let score = 0;
  for (const [index, from] of values.entries())
    for (const to of values.slice(index + 1)) score += Math.sign(to - from);
  const n = values.length;
  const deviation = Math.sqrt((n * (n - 1) * (2 * n + 5)) / 18);
  return (score - Math.sign(score)) / deviation;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(middle) - 1] ?? 0, sorted[Math.floor(middle)] ?? 0];
  return (low + high) / 2;
}
