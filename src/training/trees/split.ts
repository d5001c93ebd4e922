/** The best split of a node, from its histogram. */

import type { TreesRecipe } from '../../define/training-recipe.ts';
import type { BinnedColumns } from './bins.ts';
import { NUMBERS_OF_BIN } from './histogram.ts';

/** What the rows of a node add up to. */
export interface Sums {
  readonly first: number;
  readonly second: number;
  readonly rows: number;
}

export interface Split {
  readonly column: number;
  /** Rows with this bin or a lower one go left. */
  readonly bin: number;
  readonly missingLeft: boolean;
  readonly gain: number;
  readonly left: Sums;
  readonly right: Sums;
}

type Limits = Pick<TreesRecipe, 'leafRows' | 'leafHessian' | 'l2' | 'splitGain'>;

/** The share of a gain that may be rounding. */
const ROUNDING = 1e-10;

/** By how much a leaf of these rows lowers twice the loss, to second order (Chen and Guestrin, "XGBoost", 2016). */
function scoreOf(first: number, second: number, l2: number): number {
  return (first * first) / (second + l2);
}

/** The value of a leaf that lowers the loss most. */
export function leafValue({ first, second }: Sums, l2: number): number {
  return -first / (second + l2);
}

function without(whole: Sums, part: Sums): Sums {
  return {
    first: whole.first - part.first,
    second: whole.second - part.second,
    rows: whole.rows - part.rows,
  };
}

/**
 * The split with the greatest gain; undefined if none is allowed. Of equal ones the first: by column, by the way of
 * missing values (right, then left), by bin.
 *
 * Rows without a value go where that gains more. If the node has none, they go where most rows go.
 */
export function bestSplit(
  data: BinnedColumns,
  histogram: Float64Array,
  whole: Sums,
  columns: Uint16Array,
  limits: Limits,
): Split | undefined {
  let best: Split | undefined;
  for (const column of columns) {
    const start = (data.offsets[column] ?? 0) * NUMBERS_OF_BIN;
    const bins = data.borders[column]?.length ?? 0;
    const missing = sumsAt(histogram, start, bins);
    for (const missingLeft of missing.rows > 0 ? [false, true] : [false]) {
      const found = bestBin(histogram, start, bins, whole, missingLeft ? missing : NOTHING, limits);
      if (found === undefined || found.gain <= Math.max(best?.gain ?? 0, limits.splitGain)) continue;
      const goesLeft = missing.rows > 0 ? missingLeft : found.left.rows >= found.right.rows;
      best = { column, missingLeft: goesLeft, ...found };
    }
  }
  return best;
}

const NOTHING: Sums = { first: 0, second: 0, rows: 0 };

function sumsAt(histogram: Float64Array, start: number, bin: number): Sums {
  const at = start + bin * NUMBERS_OF_BIN;
  return { first: histogram[at] ?? 0, second: histogram[at + 1] ?? 0, rows: histogram[at + 2] ?? 0 };
}

/** @param from what goes left in any case: the rows without a value, or none. */
function bestBin(
  histogram: Float64Array,
  start: number,
  bins: number,
  whole: Sums,
  from: Sums,
  { leafRows, leafHessian, l2 }: Limits,
): Omit<Split, 'column' | 'missingLeft'> | undefined {
  let { first, second, rows } = from;
  const before = scoreOf(whole.first, whole.second, l2);
  let best: { bin: number; gain: number; left: Sums } | undefined;
  for (let bin = 0; bin < bins; bin += 1) {
    const at = start + bin * NUMBERS_OF_BIN;
    const inBin = histogram[at + 2] ?? 0;
    first += histogram[at] ?? 0;
    second += histogram[at + 1] ?? 0;
    rows += inBin;
    if (inBin === 0 || rows < leafRows) continue;
    if (whole.rows - rows < leafRows) break;
    const other = whole.second - second;
    if (second < leafHessian || other < leafHessian || second + l2 <= 0 || other + l2 <= 0) continue;
    const after = scoreOf(first, second, l2) + scoreOf(whole.first - first, other, l2);
    const gain = after - before;
    if (gain > (best?.gain ?? after * ROUNDING)) best = { bin, gain, left: { first, second, rows } };
  }
  return best === undefined ? undefined : { ...best, right: without(whole, best.left) };
}
