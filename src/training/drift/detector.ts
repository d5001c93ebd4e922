/**
 * Watches whether the rows that a model is asked about still look like those that it learned from. Each column has two
 * statistics over sliding windows, against the reference: the population stability index, which sees every change of its
 * shares, and the mean ridit, which sees a rise or fall earlier. Pure: a row comes in, a verdict goes out.
 */
import { binOf, type Reference, type ReferenceColumn } from './reference.ts';

/** Windows are made of buckets of rows, so that a window slides at the cost of one bucket. */
export interface DriftWindows {
  /** Rows of a bucket. After each bucket the detector judges once. */
  readonly bucketRows: number;
  /** Lengths of the windows in buckets, ascending: a short one sees a sudden change early, a long one a small change. */
  readonly buckets: readonly number[];
}

/** Windows of 50, 200 and 1,000 rows, judged every 25 rows. */
export const WINDOWS: DriftWindows = { bucketRows: 25, buckets: [2, 8, 40] };

/** What stands out most at one moment. */
export interface DriftVerdict {
  /** Rows seen so far. */
  readonly rows: number;
  /** The greatest of all columns, windows and kinds, standardised by its law without drift. */
  readonly statistic: number;
  readonly isDrifting: boolean;
  /** Of the column, window and kind that the statistic is of. */
  readonly by: 'psi' | 'level';
  readonly column: string;
  readonly windowRows: number;
  readonly psi: number;
  /** The share of training's values below the window's, on average, ties counted half: 0.5 without drift. */
  readonly level: number;
  readonly missing: { readonly training: number; readonly serving: number };
}

/** What survives an eviction. */
export interface DriftState {
  readonly rows: number;
  /** Counts of the newest complete buckets, oldest first, and of the open one, last. Columns one after the other. */
  readonly buckets: readonly (readonly number[])[];
}

export class DriftDetector {
  readonly #reference: Reference;
  readonly #windows: DriftWindows;
  readonly #threshold: number;
  /** Where each column's bins begin in a bucket, and the length of a bucket. */
  readonly #offsets: readonly number[];
  readonly #length: number;
  /** The share of each bin in training, smoothed. */
  readonly #expected: Float64Array;
  readonly #ridits: readonly Ridits[];
  #rows = 0;
  #complete: Float64Array[] = [];
  #open: Float64Array;
  /** By window, the sum of its buckets. */
  readonly #sums: Float64Array[];

  /** @param threshold the statistic above which there is drift; `thresholdOf` derives it. */
  constructor(reference: Reference, windows: DriftWindows, threshold: number, state?: DriftState) {
    this.#reference = reference;
    this.#windows = windows;
    this.#threshold = threshold;
    const offsets: number[] = [];
    let length = 0;
    for (const { counts } of reference.columns) {
      offsets.push(length);
      length += counts.length;
    }
    this.#offsets = offsets;
    this.#length = length;
    this.#expected = Float64Array.from(
      reference.columns.flatMap(({ counts }) =>
        counts.map((n) => smoothed(n, reference.rows, counts.length)),
      ),
    );
    this.#ridits = reference.columns.map(riditsOf);
    this.#open = new Float64Array(length);
    this.#sums = windows.buckets.map(() => new Float64Array(length));
    if (state !== undefined) this.#restore(state);
  }

  get state(): DriftState {
    return { rows: this.#rows, buckets: [...this.#complete, this.#open].map((counts) => Array.from(counts)) };
  }

  /**
   * @param values the row's values, in the order of the reference's columns; NaN is missing.
   * @returns a verdict after the last row of a bucket, once the shortest window is full.
   */
  add(values: readonly number[]): DriftVerdict | undefined {
    return this.addBins(this.#reference.columns.map((column, at) => binOf(column, values[at] ?? Number.NaN)));
  }

  /** As `add`, for a row whose bins are known, from `start` on in `bins`. */
  addBins(bins: ArrayLike<number>, start = 0): DriftVerdict | undefined {
    for (let at = 0; at < this.#offsets.length; at += 1) {
      const place = (this.#offsets[at] ?? 0) + (bins[start + at] ?? 0);
      this.#open[place] = (this.#open[place] ?? 0) + 1;
    }
    this.#rows += 1;
    if (this.#rows % this.#windows.bucketRows !== 0) return undefined;
    this.#close();
    return this.#judge();
  }

  /** The open bucket joins the windows, and the oldest bucket of each leaves it. */
  #close(): void {
    const longest = Math.max(...this.#windows.buckets);
    for (const [at, buckets] of this.#windows.buckets.entries()) {
      const sum = this.#sums[at] ?? this.#open;
      const leaving = this.#complete[this.#complete.length - buckets];
      for (let bin = 0; bin < this.#length; bin += 1)
        sum[bin] = (sum[bin] ?? 0) + (this.#open[bin] ?? 0) - (leaving?.[bin] ?? 0);
    }
    this.#complete.push(this.#open);
    const reused = this.#complete.length > longest ? this.#complete.shift() : undefined;
    this.#open = reused?.fill(0) ?? new Float64Array(this.#length);
  }

  #judge(): DriftVerdict | undefined {
    let best: (Candidate & { readonly at: number; readonly window: number }) | undefined;
    for (const [window, buckets] of this.#windows.buckets.entries()) {
      if (this.#complete.length < buckets) continue;
      for (let at = 0; at < this.#reference.columns.length; at += 1) {
        const candidate = this.#statisticOf(window, at);
        if (best === undefined || candidate.statistic > best.statistic) best = { ...candidate, at, window };
      }
    }
    if (best === undefined) return undefined;
    const { at, window, ...found } = best;
    const { name = '', counts = [] } = this.#reference.columns[at] ?? {};
    const windowRows = (this.#windows.buckets[window] ?? 0) * this.#windows.bucketRows;
    const missingAt = (this.#offsets[at] ?? 0) + counts.length - 1;
    const missing = {
      training: (counts.at(-1) ?? 0) / this.#reference.rows,
      serving: (this.#sums[window]?.[missingAt] ?? 0) / windowRows,
    };
    const isDrifting = found.statistic > this.#threshold;
    return { rows: this.#rows, ...found, isDrifting, column: name, windowRows, missing };
  }

  /** The greater of a column's two statistics over one window. */
  #statisticOf(window: number, at: number): Candidate {
    const rows = (this.#windows.buckets[window] ?? 0) * this.#windows.bucketRows;
    const bins = this.#reference.columns[at]?.counts.length ?? 2;
    const psi = this.#psiOf(window, at, rows);
    const byPsi = standardised(psi / (1 / rows + 1 / this.#reference.rows), bins - 1);
    const { level, squared } = this.#levelOf(window, at);
    const byLevel = standardised(squared, 1);
    const by = byPsi >= byLevel ? 'psi' : 'level';
    return { statistic: Math.max(byPsi, byLevel), by, psi, level };
  }

  /** The mean ridit of a window's values that are not missing, and its squared distance from 0.5 over its variance. */
  #levelOf(window: number, at: number): { readonly level: number; readonly squared: number } {
    const counts = this.#sums[window] ?? this.#open;
    const start = this.#offsets[at] ?? 0;
    const { ridits, variance, values } = this.#ridits[at] ?? { ridits: [], variance: 0, values: 0 };
    let [sum, served] = [0, 0];
    for (const [bin, ridit] of ridits.entries()) {
      const count = counts[start + bin] ?? 0;
      sum += count * ridit;
      served += count;
    }
    if (served === 0 || variance === 0) return { level: 0.5, squared: 0 };
    const level = sum / served;
    return { level, squared: (level - 0.5) ** 2 / (variance * (1 / served + 1 / values)) };
  }

  /** The population stability index: Σ (served − expected) · ln(served / expected) over the bins. */
  #psiOf(window: number, at: number, rows: number): number {
    const counts = this.#sums[window] ?? this.#open;
    const start = this.#offsets[at] ?? 0;
    const length = this.#reference.columns[at]?.counts.length ?? 0;
    let psi = 0;
    for (let bin = start; bin < start + length; bin += 1) {
      const expected = this.#expected[bin] ?? 0;
      const served = smoothed(counts[bin] ?? 0, rows, length);
      psi += (served - expected) * Math.log(served / expected);
    }
    return psi;
  }

  #restore({ rows, buckets }: DriftState): void {
    const all = buckets.map((counts) => Float64Array.from(counts));
    if (all.length === 0 || all.some(({ length }) => length !== this.#length))
      throw new RangeError('The state of drift is of another reference.');
    this.#rows = rows;
    this.#open = all.pop() ?? this.#open;
    this.#complete = all;
    for (const [at, length] of this.#windows.buckets.entries())
      for (const bucket of all.slice(-length))
        for (let bin = 0; bin < this.#length; bin += 1)
          (this.#sums[at] ?? bucket)[bin] = (this.#sums[at]?.[bin] ?? 0) + (bucket[bin] ?? 0);
  }
}

/** A share that is never 0, so that a logarithm of it exists: half a row more in each bin. */
function smoothed(count: number, rows: number, bins: number): number {
  return (count + 0.5) / (rows + 0.5 * bins);
}

/**
 * Without drift, the index over (1 / window + 1 / reference) follows about a χ² law of (bins − 1) degrees of freedom
 * (B. Yurdakul and J. Naranjo, Statistical properties of the population stability index, 2020), and the squared level
 * over its variance one of 1. The cube root makes a χ² law nearly normal (E. Wilson and M. Hilferty, 1931), so that
 * columns of different numbers of bins, windows of different lengths and both kinds are comparable far out in the tail.
 */
function standardised(chiSquared: number, freedom: number): number {
  const spread = 2 / (9 * freedom);
  return (Math.cbrt(chiSquared / freedom) - (1 - spread)) / Math.sqrt(spread);
}

interface Candidate extends Pick<DriftVerdict, 'statistic' | 'by' | 'psi' | 'level'> {}

interface Ridits {
  /** By bin: the share of the reference below it, and half of its own (I. Bross, 1958). Without the missing values. */
  readonly ridits: readonly number[];
  readonly variance: number;
  /** Rows of the reference whose value is not missing. */
  readonly values: number;
}

function riditsOf({ counts }: ReferenceColumn): Ridits {
  const own = counts.slice(0, -1);
  const values = own.reduce((sum, count) => sum + count, 0);
  let below = 0;
  const ridits = own.map((count) => {
    below += count;
    return (below - count / 2) / values;
  });
  const variance = own.reduce((sum, count, at) => sum + (count / values) * ((ridits[at] ?? 0) - 0.5) ** 2, 0);
  return values === 0 ? { ridits: [], variance: 0, values } : { ridits, variance, values };
}
