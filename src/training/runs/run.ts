import * as z from 'zod';
import { Evaluation } from './evaluation.ts';
import { Gate } from './gates.ts';
import { RUN_REASONS } from './policy.ts';

/** Who the registry and the audit log say registered what a run has made, and named it challenger. */
export const TRAINER = 'training';

/** What a run does, in this order. Rankings alone have candidates. */
export const RUN_STAGES = [
  'queued',
  'dataset',
  'candidates',
  'training',
  'evaluation',
  'registration',
] as const;
export type RunStage = (typeof RUN_STAGES)[number];

/**
 * - The stages: it is under way, or waits for another run.
 * - `done`: the version is registered. - `refused`: a gate does not hold, or the set or the declaration allows no training.
 * - `failed`: another service or the registry did not let it go on. - `cancelled`: somebody ended it.
 */
export const RUN_STATES = [...RUN_STAGES, 'done', 'refused', 'failed', 'cancelled'] as const;

/** What a run has used. */
export const RunCost = z.strictObject({
  steps: z.int(),
  /** Rows that were read from the files of the dataset. */
  rows: z.int(),
  bytesRead: z.int(),
  bytesWritten: z.int(),
  /** Operations of R2. */
  r2Reads: z.int(),
  r2Writes: z.int(),
  /** Milliseconds that its steps took: more than their CPU time, because an isolate does other work between. */
  busyMs: z.number(),
});
export type RunCost = z.output<typeof RunCost>;

export const NO_COST: RunCost = {
  ...{ steps: 0, rows: 0, bytesRead: 0, bytesWritten: 0, r2Reads: 0, r2Writes: 0, busyMs: 0 },
};

/** A run. All moments are in milliseconds since the Unix epoch. */
export const TrainingRun = z.strictObject({
  id: z.uuid(),
  /** Its run in lineage if it was resumed: there an end is final. */
  lineage: z.uuid().optional(),
  model: z.string(),
  reason: z.enum(RUN_REASONS),
  /** Who or what began it. */
  by: z.string(),
  state: z.enum(RUN_STATES),
  /** Where it goes on; the stage in which it ended, if it has. */
  stage: z.enum(RUN_STAGES),
  begunMs: z.int(),
  endedMs: z.int().nullable(),
  /** Decides the snapshot: events that were stored later do not exist for it. */
  asOf: z.int(),
  /** The first moment of label events that rows are made of; null for all. */
  from: z.int().nullable().default(null),
  /** The number of the newest event when it began: later ones count for the next run. */
  lastSeq: z.int(),
  seed: z.int(),
  dataset: z.strictObject({ id: z.string(), digest: z.string().nullable() }).nullable(),
  /** Of the present stage: files, trees or epochs, intervals. */
  progress: z.strictObject({ done: z.int(), of: z.int() }),
  /** Whether a checkpoint, or the model, is kept. */
  isKept: z.boolean(),
  /** Of the rows that were learned from; 0 until they were read. */
  meanLabel: z.number(),
  gates: z.array(Gate),
  evaluation: Evaluation.nullable(),
  /** The version that it registered, and whether it became the challenger. */
  version: z.string().nullable(),
  isChallenger: z.boolean(),
  failure: z.strictObject({ code: z.string(), detail: z.string() }).nullable(),
  /** Failed attempts of the present step. */
  failures: z.int(),
  cost: RunCost,
});
export type TrainingRun = z.output<typeof TrainingRun>;

/** Whether a run is over. */
export function isEnded({ state }: Pick<TrainingRun, 'state'>): boolean {
  return !RUN_STAGES.some((stage) => stage === state);
}

/** What a run begins with. */
export type NewRun = Pick<
  TrainingRun,
  'id' | 'model' | 'reason' | 'by' | 'begunMs' | 'asOf' | 'lastSeq' | 'seed'
>;

export function newRun(begun: NewRun): TrainingRun {
  return {
    ...begun,
    ...{ state: 'queued', stage: 'queued', endedMs: null, from: null, dataset: null },
    progress: { done: 0, of: 0 },
    ...{ isKept: false, meanLabel: 0, gates: [], evaluation: null, version: null, isChallenger: false },
    ...{ failure: null, failures: 0, cost: NO_COST },
  };
}

/** The run in its next stage. */
export function inStage(run: TrainingRun, stage: RunStage): TrainingRun {
  return { ...run, state: stage, stage, progress: { done: 0, of: 0 }, failures: 0 };
}

/** The run at its end. */
export function ended(
  run: TrainingRun,
  state: 'done' | 'refused' | 'failed' | 'cancelled',
  endedMs: number,
  failure: TrainingRun['failure'] = null,
): TrainingRun {
  return { ...run, state, endedMs, failure };
}

/** The cost with more of it. */
export function withCost(run: TrainingRun, more: Partial<RunCost>): TrainingRun {
  const sum = (name: keyof RunCost) => run.cost[name] + (more[name] ?? 0);
  return {
    ...run,
    cost: {
      ...{ steps: sum('steps'), rows: sum('rows'), bytesRead: sum('bytesRead') },
      ...{ bytesWritten: sum('bytesWritten'), r2Reads: sum('r2Reads') },
      ...{ r2Writes: sum('r2Writes'), busyMs: sum('busyMs') },
    },
  };
}
