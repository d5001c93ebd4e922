import * as z from 'zod';
import { RolloutPlanSchema } from '../../define/rollout.ts';
import { addBatch, type Evidences, evidenceOf, noEvidence, type Sides } from './comparison.ts';

/** Where a rollout is. `waiting`: everything has been seen, and a second person has to approve. */
export const STAGES = ['shadow', 'canary', 'waiting', 'champion', 'rolled_back'] as const;
export type Stage = (typeof STAGES)[number];

/** By what the new version is compared with the champion. */
export const MEASURES = ['errors', 'slow', 'scores', 'misses'] as const;
export type Measure = (typeof MEASURES)[number];

/** The most batches of one record. A rollout that needs more writes another record, which begins where this one ends. */
export const BATCHES_MAX = 500;

const Count = z.int().nonnegative();
const BatchSchema = z.array(Count).length(4);
const Measured = z.strictObject({
  /** The evidence before the first batch of this record. */
  start: z.array(z.number()),
  batches: z.array(BatchSchema).max(BATCHES_MAX),
});

/** What a decision was made of. `verdictOf` derives the decision from it again. */
export const EvidenceRecord = z.strictObject({
  format: z.literal(1),
  plan: RolloutPlanSchema,
  /** Who started the rollout. If the plan needs an approval, somebody else gives it. */
  startedBy: z.string(),
  stage: z.enum(STAGES),
  /** Which of the plan's shares; -1 in the shadow. */
  step: z.int().min(-1),
  /** When the rollout and its present step began, and when this was written, in milliseconds since the Unix epoch. */
  beganMs: z.int(),
  stepBeganMs: z.int(),
  atMs: z.int(),
  /** Requests in this step: the champion's, and those of the new version. */
  requests: z.strictObject({ champion: Count, canary: Count }),
  /** Answers of this step's time whose labels are known; absent where no event says what came of an answer. */
  labelled: z.strictObject({ champion: Count, canary: Count }).optional(),
  /** The buckets between which the champion's scores usually are, inclusive; null until enough of them are known. */
  band: z.array(z.int()).length(2).nullable(),
  measures: z.strictObject({
    ...{ errors: Measured, slow: Measured, scores: Measured },
    /** Answers that no event agreed with, of those whose labels are known; absent as `labelled` is. */
    misses: Measured.optional(),
  }),
});
export type EvidenceRecord = z.output<typeof EvidenceRecord>;

/** What is to be done, and why. */
export interface Verdict {
  readonly action: 'hold' | 'advance' | 'roll_back';
  readonly reason: 'too_early' | 'enough_seen' | 'expired' | Measure;
  /** The logarithm of the evidence that the new version is worse, by measure, and the one that rolls it back. */
  readonly evidence: Readonly<Partial<Record<Measure, number>>>;
  readonly threshold: number;
}

const SIDES: Readonly<Record<Measure, Sides>> = {
  ...{ errors: 'more', slow: 'more', scores: 'both', misses: 'more' },
};

/** A measure before its first batch. */
export function unmeasured(measure: Measure): EvidenceRecord['measures']['errors'] {
  return { start: [...noEvidence(SIDES[measure])], batches: [] };
}

/** The measures that a record has. */
function measuresOf({ measures }: Pick<EvidenceRecord, 'measures'>): Measure[] {
  return MEASURES.filter((measure) => measures[measure] !== undefined);
}

/** The evidence of a measure after the last batch of a record. */
export function evidencesAfter(
  { plan, measures }: Pick<EvidenceRecord, 'plan' | 'measures'>,
  measure: Measure,
): Evidences {
  const tolerated = plan.tolerances[measure];
  const { start, batches } = measures[measure] ?? unmeasured(measure);
  return batches.reduce<Evidences>((sum, batch) => addBatch(sum, batch, tolerated), start);
}

/**
 * The decision that follows from a record. A version that is no worse is rolled back by one of its measures with a
 * probability of at most the plan's `error`, however long the rollout takes: each measure has an equal part of it.
 */
export function verdictOf(record: EvidenceRecord): Verdict {
  const { plan, stage, requests, atMs } = record;
  const measured = measuresOf(record);
  const threshold = Math.log(measured.length / plan.error);
  const evidence: Partial<Record<Measure, number>> = Object.fromEntries(
    measured.map((measure) => [measure, evidenceOf(evidencesAfter(record, measure))]),
  );
  const worse = measured.find((measure) => (evidence[measure] ?? 0) >= threshold);
  const told = { evidence, threshold };
  if (worse !== undefined) return { action: 'roll_back', reason: worse, ...told };
  if (atMs - record.beganMs >= plan.withinSeconds * 1_000)
    return { action: 'roll_back', reason: 'expired', ...told };
  const needs = stage === 'shadow' ? plan.shadow : plan.canary;
  const isEnough =
    (stage === 'shadow' || stage === 'canary') &&
    requests.canary >= needs.requests &&
    (stage === 'shadow' || (record.labelled?.canary ?? 0) >= plan.canary.labels) &&
    atMs - record.stepBeganMs >= needs.seconds * 1_000;
  return { action: isEnough ? 'advance' : 'hold', reason: isEnough ? 'enough_seen' : 'too_early', ...told };
}

/** Where a rollout is: its stage, and which of the plan's shares it has reached. */
export interface Position {
  readonly stage: Stage;
  readonly step: number;
}

/** Where a rollout goes from a step that has seen enough. */
export function nextPosition(
  { shares, approval }: EvidenceRecord['plan'],
  { stage, step }: Position,
): Position {
  if (stage === 'shadow') return { stage: 'canary', step: 0 };
  if (stage === 'canary' && step + 1 < shares.length) return { stage: 'canary', step: step + 1 };
  if (stage === 'canary' && approval) return { stage: 'waiting', step };
  return { stage: 'champion', step };
}

/** The share of the entities that the new version answers for, in percent. */
export function shareOf(
  { shares }: Pick<EvidenceRecord['plan'], 'shares'>,
  { stage, step }: Position,
): number {
  if (stage === 'champion') return 100;
  return stage === 'canary' || stage === 'waiting' ? (shares[step] ?? 0) : 0;
}
