/** With fewer values in a window, their distribution cannot be compared. */
export const SHIFT_VALUES_MIN = 100;
/** The reference needs more values than the window, because its error adds to the comparison's. */
export const SHIFT_REFERENCE_MIN = 500;
/** The normal quantile of 99 %: one in a hundred distributions that did not shift exceeds the limit by chance. */
const CHANCE_QUANTILE = 2.326;
/** Added to each bin, so that an empty bin has a share: half an observation (Jeffreys' prior). */
const EMPTY_BIN_COUNT = 0.5;

export type Spread = Readonly<Record<string, number>>;

/** The distribution of a window's values over the bins, compared with the distribution before the window. */
export interface Shift {
  readonly status: 'stable' | 'shifted' | 'insufficient_data';
  /** Null for insufficient data. */
  readonly psi: number | null;
  /**
   * An index above this is a shift: the greater of the rule's own limit and the limit that chance alone explains for so
   * few values.
   */
  readonly limit: number | null;
  /** Values of the window in excess of the reference's distribution: total variation distance times values. */
  readonly displaced: number;
  readonly values: number;
  readonly referenceValues: number;
}

/**
 * The population stability index, the sum over the bins of (p − q)·ln(p / q): the symmetric Kullback-Leibler divergence
 * of the two distributions (Jeffreys, 1946). The usual limits, 0.1 for some shift and 0.25 for much, are a rule of
 * thumb (Siddiqi, "Credit Risk Scorecards", 2006) that ignores the number of values; with few values chance alone
 * exceeds them.
 */
export function populationStabilityIndex(actual: readonly number[], expected: readonly number[]): number {
  const p = sharesOf(actual);
  const q = sharesOf(expected);
  return p.reduce((sum, share, bin) => {
    const other = q[bin] ?? 0;
    return sum + (share - other) * Math.log(share / other);
  }, 0);
}

/**
 * The limit that the index stays below by chance in 99 of 100 windows that did not shift. The index is distributed as
 * (1/n + 1/m)·χ² with one degree of freedom fewer than there are bins (Yurdakul, "Statistical Properties of Population
 * Stability Index", 2018). The quantile of χ² is Wilson and Hilferty's (1931).
 */
export function chanceLimit(bins: number, values: number, referenceValues: number): number {
  const freedom = bins - 1;
  const spread = 2 / (9 * freedom);
  const quantile = freedom * (1 - spread + CHANCE_QUANTILE * Math.sqrt(spread)) ** 3;
  return (1 / values + 1 / referenceValues) * quantile;
}

/** @param bins all bins of the rule. Counts under other names come from an older catalog and are ignored. */
export function shiftOf(bins: readonly string[], psiMax: number, actual: Spread, reference: Spread): Shift {
  const own = bins.map((bin) => actual[bin] ?? 0);
  const before = bins.map((bin) => reference[bin] ?? 0);
  const values = total(own);
  const referenceValues = total(before);
  if (values < SHIFT_VALUES_MIN || referenceValues < SHIFT_REFERENCE_MIN) {
    return { status: 'insufficient_data', psi: null, limit: null, displaced: 0, values, referenceValues };
  }
  const psi = populationStabilityIndex(own, before);
  const limit = Math.max(psiMax, chanceLimit(bins.length, values, referenceValues));
  const distance =
    own.reduce(
      (sum, count, bin) => sum + Math.abs(count / values - (before[bin] ?? 0) / referenceValues),
      0,
    ) / 2;
  const isShifted = psi > limit;
  return {
    status: isShifted ? 'shifted' : 'stable',
    psi,
    limit,
    displaced: isShifted ? Math.round(distance * values) : 0,
    values,
    referenceValues,
  };
}

function sharesOf(counts: readonly number[]): number[] {
  const all = total(counts) + EMPTY_BIN_COUNT * counts.length;
  return counts.map((count) => (count + EMPTY_BIN_COUNT) / all);
}

function total(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
}
