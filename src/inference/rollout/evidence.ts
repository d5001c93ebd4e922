import * as z from 'zod';
import { RolloutPlanSchema, stepMsMax } from '../../define/rollout.ts';
import { addBatch, type Evidences, evidenceOf, noEvidence, passingBound, type Sides } from './comparison.ts';

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
  /** The newer version that the rollout gives way to once its step has had its time; absent without one. */
  challenger: z.string().optional(),
  /** Whether a person named that version: then the rollout gives way at once. */
  isChallengerByHand: z.literal(true).optional(),
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

/**
 * Why a rollout waits, goes on or ends. `few_requests` and `few_labels`: the step has not seen so many in its longest time.
 * `undecided`: its labels do not exclude a bad version. `overtaken`: a newer challenger waits, and half of that time has
 * passed, or a person has named it.
 */
export type VerdictReason =
  | 'too_early'
  | 'enough_seen'
  | 'expired'
  | 'few_requests'
  | 'few_labels'
  | 'undecided'
  | 'overtaken'
  | Measure;

/** The part of the longest time of a step after which the rollout gives way to a newer challenger. */
const GIVES_WAY_AFTER = 0.5;

/** What is to be done, and why. */
export interface Verdict {
  readonly action: 'hold' | 'advance' | 'roll_back';
  readonly reason: VerdictReason;
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
  const { plan, atMs } = record;
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
  const missing = missingOf(record);
  if (missing === undefined) return { action: 'hold', reason: 'too_early', ...told };
  const { requests, labels, ms, exclusion } = missing;
  if (requests === 0 && labels === 0 && ms === 0 && exclusion === null)
    return { action: 'advance', reason: 'enough_seen', ...told };
  const stepMs = atMs - record.stepBeganMs;
  if (stepMs >= stepMsMax(plan)) return { action: 'roll_back', reason: stalledBy(missing), ...told };
  const patienceMs = record.isChallengerByHand === true ? 0 : GIVES_WAY_AFTER * stepMsMax(plan);
  if (record.challenger !== undefined && stepMs >= patienceMs)
    return { action: 'roll_back', reason: 'overtaken', ...told };
  return { action: 'hold', reason: 'too_early', ...told };
}

/** What a step lacks whose longest time has passed. */
function stalledBy({ requests, labels }: Missing): VerdictReason {
  if (requests > 0) return 'few_requests';
  return labels > 0 ? 'few_labels' : 'undecided';
}

/** What the present step has not seen yet. */
export interface Missing {
  readonly requests: number;
  readonly labels: number;
  /** What remains of its shortest time, in milliseconds. */
  readonly ms: number;
  /** The bad version that the share has not excluded; null once it has, or where it excludes none. */
  readonly exclusion: Exclusion | null;
}

/** A bad version, by its odds of a miss, and with which probability one passes the share. */
export interface Exclusion {
  readonly odds: number;
  readonly passes: number;
  /** The bound on that probability as of the labels that have come. */
  readonly passesNow: number;
}

/** What the present step has to see before the next one begins; undefined where it waits for no more. */
export function missingOf(record: EvidenceRecord): Missing | undefined {
  const { plan, stage, requests, labelled } = record;
  if (stage !== 'shadow' && stage !== 'canary') return undefined;
  const { requests: wanted, seconds } = stage === 'shadow' ? plan.shadow : plan.canary;
  const labels = stage === 'shadow' ? 0 : plan.canary.labels;
  return {
    requests: Math.max(0, wanted - requests.canary),
    labels: Math.max(0, labels - (labelled?.canary ?? 0)),
    ms: Math.max(0, 1_000 * seconds - (record.atMs - record.stepBeganMs)),
    exclusion: exclusionOf(record),
  };
}

/**
 * An earlier share grows with a weaker bound: it shows a version to few entities, so its labels come slowly, but labels that
 * speak for a bad version are a reason not to show it to more.
 */
function exclusionOf(record: EvidenceRecord): Exclusion | null {
  const { plan, stage, step, measures } = record;
  const { excludes } = plan.canary;
  if (stage !== 'canary' || excludes === undefined || measures.misses === undefined) return null;
  const isLast = step === plan.shares.length - 1;
  const passes = isLast ? excludes.passes : excludes.grows;
  if (passes === undefined) return null;
  const { odds } = excludes;
  const passesNow = passingBound(evidencesAfter(record, 'misses'), odds);
  return passesNow <= passes ? null : { odds, passes, passesNow };
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
