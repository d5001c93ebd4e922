import * as z from 'zod';
import { Failure } from '../../platform/failure.ts';
import { Instant } from '../../platform/instant.ts';
import type { RunState, TrainingEnd, TrainingStart } from '../../storage/postgres/lineage-runs.ts';

/** The longest time that a training may take, in milliseconds. After that a sweep aborts it. */
export const TRAINING_MS_MAX = 24 * 3_600_000;
/** The most pairs of source and type that a training set lists. */
const SOURCES_MAX = 50;
/** The most event types that a dataset lists. */
const TYPES_MAX = 64;

const Sequence = z.int().nonnegative();

/** The data of a training: the rows of a table that it read, and as of when. */
export const Snapshot = z.strictObject({
  /** The name of a history table of the catalog. */
  table: z.string().min(1).max(128),
  /** The numbers of the first and the last event. */
  firstSeq: Sequence,
  lastSeq: Sequence,
  /** When the trainer read the rows. The training has no events that were stored later. */
  asOf: Instant,
  rows: z.int().nonnegative(),
  /** The number of different keys that the rows belong to. */
  keys: z.int().nonnegative(),
  /** When the first and the last of the rows' events happened. */
  from: Instant,
  to: Instant,
  sources: z
    .array(z.strictObject({ source: z.string().max(512), type: z.string().max(256), events: z.int() }))
    .max(SOURCES_MAX),
});
export type Snapshot = z.output<typeof Snapshot>;

/** The dataset that a training used, and what decides which events may be in it. */
export const LearnedDataset = z.strictObject({
  id: z.string().regex(/^[0-9a-f]{32}$/),
  digest: z.string().min(1).max(128),
  /** The dataset has no events that were stored later. */
  asOf: Instant,
  /** Rows to train with. */
  rows: z.int().nonnegative(),
  /** The event types of its label and of its features; empty for those that the catalog declares. */
  types: z.array(z.string().min(1).max(256)).max(TYPES_MAX).default([]),
});
export type LearnedDataset = z.output<typeof LearnedDataset>;

const CodeVersion = z.string().min(1).max(64);

const Assertions = z
  .array(z.strictObject({ assertion: z.string().min(1).max(64), success: z.boolean() }))
  .max(32);

/** What a trainer reports about its run: that it began, or how it ended. */
export const TrainingReport = z.discriminatedUnion('state', [
  z.strictObject({ state: z.literal('START') }),
  z.strictObject({
    state: z.literal('COMPLETE'),
    startedAt: Instant,
    version: z.string().regex(/^[0-9a-f]{12}$/),
    /** Of the graph. */
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    snapshot: Snapshot.optional(),
    /** In place of a snapshot: a dataset of `/v1/admin/datasets`. */
    dataset: LearnedDataset.optional(),
    /** The release or the commit of the code that trained. */
    codeVersion: CodeVersion.optional(),
    trainingRows: z.int().nonnegative(),
    assertions: Assertions.default([]),
  }),
  z.strictObject({
    state: z.enum(['FAIL', 'ABORT']),
    startedAt: Instant,
    snapshot: Snapshot.optional(),
    assertions: Assertions.default([]),
    error: z.string().min(1).max(1_000),
  }),
]);
export type TrainingReport = z.output<typeof TrainingReport>;

/** The facts about a training that lineage keeps beside its counts. */
export const TrainingDetail = z.object({
  snapshot: Snapshot.optional(),
  dataset: LearnedDataset.optional(),
  codeVersion: CodeVersion.optional(),
  sha256: z.string().optional(),
  error: z.string().optional(),
  assertions: Assertions.optional(),
});
export type TrainingDetail = z.output<typeof TrainingDetail>;

export interface TrainingPorts {
  readonly start: (start: TrainingStart) => Promise<RunState>;
  readonly end: (end: TrainingEnd) => Promise<RunState>;
  readonly now: () => number;
}

/**
 * Records a trainer's report. A repeated report changes nothing.
 *
 * @throws Failure `run_ended` if the run has already ended differently.
 */
export async function reportTraining(
  id: string,
  model: string,
  report: TrainingReport,
  ports: TrainingPorts,
): Promise<RunState> {
  const now = ports.now();
  const iso = (at: number) => new Date(at).toISOString();
  const times = { id, model, dueAt: iso(now + TRAINING_MS_MAX) };
  if (report.state === 'START') return await ports.start({ ...times, startedAt: iso(now) });
  const { snapshot } = report;
  const learned =
    report.state === 'COMPLETE' ? { dataset: report.dataset, codeVersion: report.codeVersion } : {};
  const state = await ports.end({
    ...times,
    startedAt: iso(Math.min(now, Date.parse(report.startedAt))),
    state: report.state,
    endedAt: iso(now),
    version: report.state === 'COMPLETE' ? report.version : '',
    firstSeq: snapshot?.firstSeq ?? null,
    lastSeq: snapshot?.lastSeq ?? null,
    counts: {
      ...(snapshot === undefined ? {} : { rows: snapshot.rows, keys: snapshot.keys }),
      ...(report.state === 'COMPLETE' ? { trainingRows: report.trainingRows } : {}),
    },
    detail: {
      snapshot,
      ...learned,
      assertions: report.assertions,
      ...(report.state === 'COMPLETE' ? { sha256: report.sha256 } : { error: report.error }),
    } satisfies TrainingDetail,
  });
  if (state === report.state) return state;
  throw new Failure('run_ended', `The run has already ended with ${state}.`, { pointer: '/state' });
}
