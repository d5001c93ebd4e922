/** When a model is trained again in the worker, and what has to hold for it. */
import * as z from 'zod';
import { DeclarationMistake } from './mistake.ts';

/** Six months: a shorter history has not seen the seasons that the model will answer in. */
const HISTORY_DAYS = 182;

const Retraining = z.strictObject({
  /** Trains once so many label events were stored since the last run began. */
  afterEvents: z.int().min(1).max(1_000_000_000).optional(),
  /** Trains so many days after the last run began. */
  everyDays: z.number().min(0.04).max(3_650).optional(),
  /** Trains when the rows that the champion is asked about no longer look like those that it was judged on. */
  onDrift: z.boolean().default(false),
  /** The rows that pass without a drift, on average, until one is reported nevertheless. */
  falseAlarmRows: z.int().min(10_000).max(200_000).default(50_000),
  /** The shortest time between the beginnings of two runs that nobody asked for. */
  debounceMinutes: z.int().min(1).max(43_200).default(60),
  /** The history that a training needs. */
  historyDays: z
    .number()
    .min(1 / 86_400)
    .max(3_650)
    .default(HISTORY_DAYS),
  /** Which events count for the features of a row, as in a dataset's request. */
  knowledge: z.enum(['row', 'snapshot']).default('row'),
  seed: z.int().min(0).max(0xffff_ffff).default(1),
});

/** A policy whose settings are all known and within their ranges. */
export type RetrainingPolicy = Readonly<z.output<typeof Retraining>>;
/** A policy as a model declares it. */
export type DeclaredRetraining = z.input<typeof Retraining>;

/** @throws DeclarationMistake for a setting that is unknown or out of its range. */
export function retrainingOf(declared: DeclaredRetraining): RetrainingPolicy {
  const { success, data, error } = Retraining.safeParse(declared);
  if (success) return data;
  const [issue] = error.issues;
  throw new DeclarationMistake(
    `The setting "${issue?.path.join('.') ?? ''}" of \`retraining\` is wrong: ${issue?.message ?? 'invalid'}.`,
    'docs/training.md lists the settings with their ranges.',
  );
}
