/**
 * The threshold of a drift detector, from the time that it shall run between two false alarms. This is how Alibi Detect
 * sets the thresholds of its online detectors: by the expected run time, simulated on the reference.
 */
import type { Random } from '../../platform/random.ts';
import { DriftDetector, type DriftWindows } from './detector.ts';
import type { BinnedRows, Reference } from './reference.ts';

export interface ThresholdOptions {
  readonly windows: DriftWindows;
  /** The rows that pass without drift, on average, until a false alarm. */
  readonly expectedRunRows: number;
  /** Simulated streams. The relative error of the run time is about 1.1 / √streams; 400 give 6 %. */
  readonly streams: number;
  /**
   * Rows that are drawn together because they depend on each other: rows of one visit, for example. 1 if rows are
   * independent. Blocks keep the order of the reference's rows.
   */
  readonly blockRows: number;
}

/**
 * Simulates streams without drift and finds the statistic that the first of them pass after the expected time. Both the
 * stream and the reference are drawn anew from the reference's rows, with replacement, so that the uncertainty of the
 * reference counts as well. A stream ends after twice the expected time; the mean of streams that go on is estimated as
 * for an exponential law with that censoring: all time that passed, over the number of alarms.
 *
 * @returns the threshold of the statistic.
 * @throws RangeError if the expected run time is shorter than ten longest windows: such a detector does nothing but
 *   raise false alarms.
 */
export function thresholdOf(...of: Parameters<typeof thresholdSteps>): number {
  const steps = thresholdSteps(...of);
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}

/** As `thresholdOf`, in steps: one for each stream. @throws RangeError with the first step. */
export function* thresholdSteps(
  reference: Reference,
  binned: BinnedRows,
  { windows, expectedRunRows, streams, blockRows }: ThresholdOptions,
  random: Random,
): Generator<undefined, number> {
  const longest = Math.max(...windows.buckets) * windows.bucketRows;
  if (expectedRunRows < 10 * longest)
    throw new RangeError(
      `The expected run time is ${expectedRunRows} rows; at least ${10 * longest} are needed.`,
    );
  const rows = 2 * expectedRunRows;
  const records: Records[] = [];
  while (records.length < streams) {
    const drawn = redrawn(reference, binned, random);
    records.push(recordsOf(drawn, binned, { windows, rows, blockRows }, random));
    yield undefined;
  }
  return bisected(records, rows, expectedRunRows);
}

/** A reference of as many rows, drawn from the reference's. */
function redrawn(reference: Reference, { rows, bins }: BinnedRows, random: Random): Reference {
  const width = reference.columns.length;
  const counts = reference.columns.map((column) => column.counts.map(() => 0));
  for (let drawn = 0; drawn < rows; drawn += 1) {
    const row = Math.floor(random() * rows) * width;
    for (let at = 0; at < width; at += 1) {
      const column = counts[at] ?? [];
      const bin = bins[row + at] ?? 0;
      column[bin] = (column[bin] ?? 0) + 1;
    }
  }
  return { rows, columns: reference.columns.map((column, at) => ({ ...column, counts: counts[at] ?? [] })) };
}

/** The moments at which a stream's statistic was greater than ever before, and how great: ascending in both. */
interface Records {
  readonly rows: number[];
  readonly statistics: number[];
}

function recordsOf(
  reference: Reference,
  binned: BinnedRows,
  stream: { readonly windows: DriftWindows; readonly rows: number; readonly blockRows: number },
  random: Random,
): Records {
  const detector = new DriftDetector(reference, stream.windows, Number.POSITIVE_INFINITY);
  const width = reference.columns.length;
  const records: Records = { rows: [], statistics: [] };
  let greatest = Number.NEGATIVE_INFINITY;
  let row = 0;
  for (let drawn = 0; drawn < stream.rows; drawn += 1) {
    row = drawn % stream.blockRows === 0 ? Math.floor(random() * binned.rows) : (row + 1) % binned.rows;
    const verdict = detector.addBins(binned.bins, row * width);
    if (verdict === undefined || verdict.statistic <= greatest) continue;
    greatest = verdict.statistic;
    records.rows.push(verdict.rows);
    records.statistics.push(verdict.statistic);
  }
  return records;
}

/** The threshold at which the estimated mean run time is the expected one. */
function bisected(streams: readonly Records[], rows: number, expected: number): number {
  let [low, high] = [0, 1];
  const meanAt = (threshold: number) => {
    let [passed, alarms] = [0, 0];
    for (const stream of streams) {
      const first = stream.statistics.findIndex((statistic) => statistic > threshold);
      passed += first < 0 ? rows : (stream.rows[first] ?? rows);
      alarms += first < 0 ? 0 : 1;
    }
    return alarms === 0 ? Number.POSITIVE_INFINITY : passed / alarms;
  };
  while (meanAt(high) < expected) high *= 2;
  for (let step = 0; step < 40; step += 1) {
    const middle = (low + high) / 2;
    if (meanAt(middle) < expected) low = middle;
    else high = middle;
  }
  return high;
}
