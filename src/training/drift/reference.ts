/** What the rows of training look like: the share of each column's values by bin, and of the missing ones. */
import { binColumns } from '../trees/bins.ts';

/** One column of a reference: an input of a model, or its score. */
export interface ReferenceColumn {
  readonly name: string;
  /** The upper border of each bin, inclusive, ascending. A value above the last border is in the last bin. */
  readonly borders: readonly number[];
  /** The rows of training by bin; the last count is of missing values. One longer than `borders`. */
  readonly counts: readonly number[];
}

export interface Reference {
  readonly rows: number;
  readonly columns: readonly ReferenceColumn[];
}

/** The bins of rows, for resampling: `[rows, columns]`, row-major, each the position of a bin in its column. */
export interface BinnedRows {
  readonly rows: number;
  readonly bins: Uint8Array;
}

/**
 * The most bins of a column besides the one of missing values. Ten are the usual number for a population stability
 * index (N. Siddiqi, Credit Risk Scorecards, 2006); more need longer windows.
 */
export const BINS_MAX = 10;

/** The fewest rows of a reference: with fewer, the shares of its bins are themselves uncertain by a tenth and more. */
export const REFERENCE_ROWS_MIN = 1_000;

/**
 * @param columns by name, the values of the training rows in the order of time; NaN is missing. All have one length.
 * @throws RangeError for fewer rows than `REFERENCE_ROWS_MIN`.
 */
export function referenceOf(columns: ReadonlyMap<string, Float32Array>): {
  readonly reference: Reference;
  readonly binned: BinnedRows;
} {
  const values = [...columns.values()];
  const rows = values[0]?.length ?? 0;
  if (rows < REFERENCE_ROWS_MIN)
    throw new RangeError(`A reference needs ${REFERENCE_ROWS_MIN} rows, and there are ${rows}.`);
  const { bins, borders } = binColumns(values, rows, BINS_MAX);
  const binned = { rows, bins };
  const names = [...columns.keys()];
  const empty = names.map((name, at) => ({ name, borders: Array.from(borders[at] ?? []) }));
  const counts = countsOf(
    empty.map((column) => column.borders.length + 1),
    binned,
  );
  return { reference: { rows, columns: empty.map((c, at) => ({ ...c, counts: counts[at] ?? [] })) }, binned };
}

/** @param lengths the number of bins of each column, with the one of missing values. */
function countsOf(lengths: readonly number[], { rows, bins }: BinnedRows): number[][] {
  const counts = lengths.map((length) => Array.from({ length }, () => 0));
  for (let row = 0; row < rows; row += 1)
    for (const [at, column] of counts.entries()) {
      const bin = bins[row * counts.length + at] ?? 0;
      column[bin] = (column[bin] ?? 0) + 1;
    }
  return counts;
}

/** The bin of a served value. NaN is missing. */
export function binOf({ borders }: ReferenceColumn, value: number): number {
  if (Number.isNaN(value)) return borders.length;
  const at = borders.findIndex((border) => value <= border);
  return at < 0 ? borders.length - 1 : at;
}
