/** Rows of a made-up population: a normal value, a skewed one, a count that is missing at times, a flag, a related value. */
import type { Random } from '../../../../src/platform/random.ts';
import {
  DriftDetector,
  type DriftVerdict,
  type DriftWindows,
} from '../../../../src/training/drift/detector.ts';
import { type Reference, referenceOf } from '../../../../src/training/drift/reference.ts';

export const NAMES = ['normal', 'skewed', 'count', 'flag', 'related'] as const;

/** What differs from the population. */
export interface Shift {
  readonly mean?: number;
  readonly missing?: number;
}

function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

export function rowOf(random: Random, { mean = 0, missing = 0.05 }: Shift = {}): number[] {
  const first = normal(random);
  const skewed = Math.exp(0.7 * first + normal(random));
  const count = random() < missing ? Number.NaN : Math.floor(-3 * Math.log(1 - random()));
  return [first + mean, skewed, count, random() < 0.2 ? 1 : 0, normal(random) + 0.5 * first];
}

export function sampleOf(rows: number, random: Random): ReturnType<typeof referenceOf> {
  const columns = NAMES.map(() => new Float32Array(rows));
  for (let row = 0; row < rows; row += 1)
    for (const [at, value] of rowOf(random).entries()) (columns[at] ?? new Float32Array())[row] = value;
  return referenceOf(new Map(NAMES.map((name, at) => [name, columns[at] ?? new Float32Array()])));
}

/** The first verdict of drift in a stream, or undefined after `rowsMax` rows. */
export function firstAlarm(
  reference: Reference,
  options: { readonly windows: DriftWindows; readonly threshold: number; readonly rowsMax: number },
  row: (at: number) => readonly number[],
): DriftVerdict | undefined {
  const detector = new DriftDetector(reference, options.windows, options.threshold);
  for (let at = 0; at < options.rowsMax; at += 1) {
    const verdict = detector.add(row(at));
    if (verdict?.isDrifting === true) return verdict;
  }
  return undefined;
}
