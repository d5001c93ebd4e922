/**
 * Columns rounded to at most 255 values and "missing", one byte each. A tree compares rows with the borders of bins
 * only, so its thresholds are exact for the raw values too.
 */

/** The greatest float32: all values that are not missing are at most this. */
const FLOAT32_MAX = 3.402_823_466_385_288_6e38;

/** The binned rows of a training set. */
export interface BinnedColumns {
  readonly rows: number;
  readonly columns: number;
  /** `[rows, columns]`, row-major: the bin of each value. A missing value has the bin after the last. */
  readonly bins: Uint8Array;
  /** By column: the upper border of each bin, inclusive. The last is the greatest float32. */
  readonly borders: readonly Float32Array[];
  /** Where each column's bins begin in a histogram of all columns, and the length of one. */
  readonly offsets: Int32Array;
  readonly length: number;
}

/**
 * @param columns NaN is missing.
 * @param learned the rows that decide the borders: the first ones.
 * @param binsMax 2 to 255.
 */
export function binColumns(
  columns: readonly Float32Array[],
  learned: number,
  binsMax: number,
): BinnedColumns {
  const borders = columns.map((column) => bordersOf(column.subarray(0, learned), binsMax));
  const offsets = new Int32Array(columns.length);
  let length = 0;
  for (const [at, of] of borders.entries()) {
    offsets[at] = length;
    length += of.length + 1;
  }
  const rows = columns[0]?.length ?? 0;
  const bins = new Uint8Array(rows * columns.length);
  for (const [at, column] of columns.entries())
    fillBins(column, borders[at] ?? new Float32Array(), bins, at, columns.length);
  return { rows, columns: columns.length, bins, borders, offsets, length };
}

/**
 * The upper borders of bins that have about the same number of rows each. A value that has more rows than a bin should
 * have gets a bin of its own. A border is the middle between two values that occur.
 */
export function bordersOf(values: Float32Array, binsMax: number): Float32Array {
  const { distinct, counts, total } = countsOf(values);
  const borders: number[] = [];
  let rowsLeft = total;
  let inBin = 0;
  for (let at = 0; at < distinct.length - 1; at += 1) {
    const binsLeft = binsMax - borders.length;
    if (binsLeft === 1) break;
    inBin += counts[at] ?? 0;
    const wanted = distinct.length <= binsMax ? 1 : rowsLeft / binsLeft;
    if (inBin < wanted && (counts[at + 1] ?? 0) < wanted) continue;
    borders.push(between(distinct[at] ?? 0, distinct[at + 1] ?? 0));
    rowsLeft -= inBin;
    inBin = 0;
  }
  return Float32Array.from([...borders, FLOAT32_MAX]);
}

/** The values that occur, ascending, and how often each does. */
function countsOf(values: Float32Array) {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort();
  const distinct: number[] = [];
  const counts: number[] = [];
  for (const value of sorted) {
    const last = distinct.length - 1;
    if (distinct[last] === value) counts[last] = (counts[last] ?? 0) + 1;
    else {
      distinct.push(value);
      counts.push(1);
    }
  }
  return { distinct, counts, total: sorted.length };
}

/** A float32 that is at least `low` and less than `high`. */
function between(low: number, high: number): number {
  const middle = Math.fround(low + (high - low) / 2);
  return middle < high ? middle : low;
}

/** Writes a column's bins from one place on, `step` apart. */
function fillBins(
  column: Float32Array,
  borders: Float32Array,
  bins: Uint8Array,
  start: number,
  step: number,
): void {
  for (let row = 0; row < column.length; row += 1) {
    const value = column[row] ?? Number.NaN;
    bins[start + row * step] = Number.isNaN(value) ? borders.length : binOf(value, borders);
  }
}

/** The first bin whose border is at least the value. */
function binOf(value: number, borders: Float32Array): number {
  let [low, high] = [0, borders.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (value <= (borders[middle] ?? 0)) high = middle;
    else low = middle + 1;
  }
  return low;
}
