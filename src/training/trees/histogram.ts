/** Sums of first and second derivatives and counts of rows, by column and bin. */
import type { BinnedColumns } from './bins.ts';

/** Numbers of a bin: the sum of first derivatives, that of second ones, and the count of rows. */
export const NUMBERS_OF_BIN = 3;

/** The derivatives of the loss by the score of each row. */
export interface Derivatives {
  readonly first: Float64Array;
  readonly second: Float64Array;
}

/**
 * Adds up some rows. Row by row is faster than column by column: a row's derivatives are read once, and its bins lie
 * together.
 *
 * @param order row numbers; those from `start` to `end` are added, in this order.
 * @param columns the columns to add up; the bins of others stay 0.
 */
export function histogramOf(
  data: BinnedColumns,
  { first, second }: Derivatives,
  order: Uint32Array,
  [start, end]: readonly [number, number],
  columns: Uint16Array,
): Float64Array {
  const { bins, columns: width } = data;
  const sums = new Float64Array(data.length * NUMBERS_OF_BIN);
  const starts = Int32Array.from(columns, (column) => (data.offsets[column] ?? 0) * NUMBERS_OF_BIN);
  for (let at = start; at < end; at += 1) {
    const row = order[at] ?? 0;
    const [slope, curve] = [first[row] ?? 0, second[row] ?? 0];
    const cells = row * width;
    for (let of = 0; of < columns.length; of += 1) {
      const bin = (starts[of] ?? 0) + (bins[cells + (columns[of] ?? 0)] ?? 0) * NUMBERS_OF_BIN;
      sums[bin] = (sums[bin] ?? 0) + slope;
      sums[bin + 1] = (sums[bin + 1] ?? 0) + curve;
      sums[bin + 2] = (sums[bin + 2] ?? 0) + 1;
    }
  }
  return sums;
}

/** The sums of the rows of a node without those of its one child: those of the other. It is written over the first. */
export function subtract(whole: Float64Array, part: Float64Array): Float64Array {
  for (let at = 0; at < whole.length; at += 1) whole[at] = (whole[at] ?? 0) - (part[at] ?? 0);
  return whole;
}
