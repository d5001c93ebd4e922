/** What a version's inputs and scores look like without drift, kept with the version, and what tells a drift from chance. */
import * as z from 'zod';
import { SCORE } from '../../inference/observed-rows.ts';
import { seededRandom } from '../../platform/random.ts';
import { WINDOWS } from './detector.ts';
import { REFERENCE_ROWS_MIN, referenceOf } from './reference.ts';
import { thresholdSteps } from './threshold.ts';

/** Streams that the threshold is simulated by. The relative error of the run time is about 1.1 / √100. */
const STREAMS = 100;

const Count = z.int().nonnegative();

export const DriftProfile = z.strictObject({
  format: z.literal(1),
  model: z.string(),
  version: z.string(),
  /** The rows between two false alarms, on average, and the statistic that follows from it. */
  falseAlarmRows: z.int().positive(),
  threshold: z.number(),
  windows: z.strictObject({ bucketRows: z.int().positive(), buckets: z.array(z.int().positive()).min(1) }),
  reference: z.strictObject({
    rows: z.int().positive(),
    columns: z
      .array(z.strictObject({ name: z.string(), borders: z.array(z.number()), counts: z.array(Count) }))
      .min(1)
      .max(257),
  }),
});
export type DriftProfile = z.output<typeof DriftProfile>;

interface ProfileOf extends Pick<DriftProfile, 'model' | 'version' | 'falseAlarmRows'> {
  readonly names: readonly string[];
  /** By column, the values of the rows without drift, in the order of time; NaN is missing. */
  readonly columns: readonly Float32Array[];
  /** The model's answers for these rows. */
  readonly scores: Float32Array;
  readonly seed: number;
}

/**
 * The profile of a version, in steps of some tens of milliseconds.
 *
 * @returns undefined for fewer than `REFERENCE_ROWS_MIN` rows: the shares of their bins say too little.
 */
export function* profileSteps(of: ProfileOf): Generator<undefined, DriftProfile | undefined> {
  const { model, version, falseAlarmRows, names, columns, scores, seed } = of;
  if (scores.length < REFERENCE_ROWS_MIN) return undefined;
  const named = names.map((name, at): [string, Float32Array] => [name, columns[at] ?? new Float32Array(0)]);
  const { reference, binned } = referenceOf(new Map([...named, [SCORE, scores]]));
  const options = { windows: WINDOWS, expectedRunRows: falseAlarmRows, streams: STREAMS, blockRows: 1 };
  const threshold = yield* thresholdSteps(reference, binned, options, seededRandom(seed));
  const windows = { bucketRows: WINDOWS.bucketRows, buckets: [...WINDOWS.buckets] };
  const kept = {
    rows: reference.rows,
    columns: reference.columns.map(({ name, borders, counts }) => ({
      ...{ name, borders: [...borders], counts: [...counts] },
    })),
  };
  return { format: 1, model, version, falseAlarmRows, threshold, windows, reference: kept };
}
