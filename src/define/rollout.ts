/** How a new version of a model takes over: watched in the shadow, then on a share of the entities, then everywhere. */
import * as z from 'zod';
import { DeclarationMistake } from './mistake.ts';

/** What a step has to see before the next one begins. */
const StepNeeds = z.strictObject({
  /** The fewest requests that the new version has answered in this step. */
  requests: z.int().min(1).max(1_000_000).default(200),
  /** The shortest time of the step, in seconds. */
  seconds: z.number().min(0).max(604_800).default(300),
});

/** The odds ratios, as multiples of the tolerated one, for which the comparison of two versions adds up evidence. */
export const ODDS_RATIOS: readonly number[] = [1.5, 2, 3, 5, 10, 30, 100];

/**
 * The bad version that the shares have to exclude: the last one with the declared probability, those before it less
 * strictly. The fewest labels do not say how well: ten labels hardly differ between two versions that both miss nine times
 * in ten. So a step goes on until the evidence does.
 */
const Excluded = z.strictObject({
  /** The version's odds of a miss, as a multiple of the tolerated ones: one of `ODDS_RATIOS`. */
  odds: z
    .number()
    .refine((odds) => ODDS_RATIOS.includes(odds), `one of ${ODDS_RATIOS.join(', ')}`)
    .default(5),
  /** The probability, at most, that a version with these odds or greater ones becomes champion. */
  passes: z.number().min(1e-6).max(0.2).default(0.05),
  /**
   * The probability, at most, that such a version gets from one share to the next. Absent in plans that an earlier release
   * declared: their shares grew whatever the labels said.
   */
  grows: z.number().min(1e-6).max(0.9).optional(),
});
/** What the shares exclude if they wait for labels and declare nothing else. */
const EXCLUDED = Excluded.parse({});
/**
 * The probability with which a bad version gets to the next share, unless it is declared: the share grows only if the labels
 * speak at least two to one against such a version. A version that is no worse hardly waits longer for it.
 */
const GROWS = 0.5;

/** What each share has to see. */
const CanaryNeeds = StepNeeds.extend({
  /** The fewest of its answers whose labels are known; needs `feedback` of the model. */
  labels: z.int().min(0).max(1_000_000).default(0),
  /** Needs `feedback` of the model. Declared by default where `labels` is more than 0. */
  excludes: Excluded.optional(),
});

/** The tolerance of scores from which on a version may have any. */
export const ANY_SCORES = 1e6;

/**
 * Odds ratios up to which the new version counts as no worse. 1 tolerates nothing; with 2, an odds of errors of 1 : 99
 * beside the champion's 1 : 199 is tolerated.
 */
const Tolerances = z.strictObject({
  errors: z.number().min(1).max(100).default(1.5),
  slow: z.number().min(1).max(100).default(2),
  /** In both directions: scores outside the champion's usual range may be this much more or less frequent. `ANY_SCORES` allows any. */
  scores: z.number().min(1).max(1e9).default(4),
  /** Of answers that no event agrees with, where the model declares `feedback`. */
  misses: z.number().min(1).max(100).default(1.2),
});

const Rollout = z
  .strictObject({
    /** `automatic`: the version that the alias `challenger` names is rolled out; else a person starts it. */
    start: z.enum(['automatic', 'by hand']).default('by hand'),
    shadow: StepNeeds.prefault({}),
    /** The shares of the entities that the new version answers for, one step after the other, in percent. */
    shares: z.array(z.number().positive().max(90)).min(1).max(10).default([1, 5, 25, 50]),
    /** What each share has to see. */
    canary: CanaryNeeds.prefault({}),
    /** The probability, at most, that a rollout of a version that is no worse is rolled back by its measures. */
    error: z.number().min(1e-6).max(0.2).default(0.01),
    tolerances: Tolerances.prefault({}),
    /** An answer that takes longer counts as slow, in milliseconds. */
    slowMs: z.number().min(1).max(10_000).default(50),
    /** Whether a second person has to approve before the version becomes champion. */
    approval: z.boolean().default(false),
    /** A rollout that has not come to an end after this time is rolled back, in seconds. */
    withinSeconds: z.number().min(1).max(5_184_000).default(604_800),
    /**
     * The longest time of the shadow and of each share, in seconds: a step that has not seen what it needs by then ends the
     * rollout. After half of it, the rollout gives way to a newer challenger. `withinSeconds` if it is left out.
     */
    stepWithinSeconds: z.number().min(1).max(5_184_000).optional(),
  })
  .refine(({ shares }) => shares.every((share, at) => at === 0 || share > (shares[at - 1] ?? 0)), {
    error: 'Each share has to be greater than the one before it.',
    path: ['shares'],
  })
  .refine(
    ({ stepWithinSeconds, shadow, canary }) =>
      stepWithinSeconds === undefined || stepWithinSeconds > Math.max(shadow.seconds, canary.seconds),
    { error: 'A step has to be able to last its `seconds`.', path: ['stepWithinSeconds'] },
  );

/** A rollout whose settings are all known and within their ranges. */
export type RolloutPlan = z.output<typeof Rollout>;
/** The longest time of a step, in milliseconds. */
export function stepMsMax({ stepWithinSeconds, withinSeconds }: RolloutPlan): number {
  return 1_000 * Math.min(stepWithinSeconds ?? withinSeconds, withinSeconds);
}

/** A rollout as a model declares it; what is left out has defaults. */
export type DeclaredRollout = z.input<typeof Rollout>;

export { Rollout as RolloutPlanSchema };

/** @throws DeclarationMistake for a setting that is unknown or out of its range. */
export function rolloutOf(declared: DeclaredRollout): RolloutPlan {
  const { success, data, error } = Rollout.safeParse(declared);
  if (success) {
    const { labels, excludes = labels > 0 ? EXCLUDED : undefined } = data.canary;
    if (excludes === undefined) return data;
    return { ...data, canary: { ...data.canary, excludes: { grows: GROWS, ...excludes } } };
  }
  const [issue] = error.issues;
  throw new DeclarationMistake(
    `The setting "${issue?.path.join('.') ?? ''}" of \`rollout\` is wrong: ${issue?.message ?? 'invalid'}.`,
    'docs/models.md lists the settings of a rollout with their ranges.',
  );
}
