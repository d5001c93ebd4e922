import type { Bundle } from '../../inference/bundle.ts';
import type { TrainingColumns } from '../columns.ts';
import type { Evaluation } from './evaluation.ts';
import type { RunCost, TrainingRun } from './run.ts';
import type { RowSet } from './set.ts';

/** A bounded piece of a stage's work, after which the stage can be left. */
export interface Piece {
  readonly cost?: Partial<RunCost>;
  readonly progress?: TrainingRun['progress'];
}
/** The work of a stage. If it is left, or a piece fails, the stage begins again. */
export type Pieces<Result> = AsyncGenerator<Piece, Result>;

/** What a trainer learns from. */
export interface Lesson {
  readonly columns: TrainingColumns;
  /** Of the rows that are learned from. */
  readonly meanLabel: number;
}

/** Rows that a new version was judged by, with its answers: golden rows and the profile of its drift are made of them. */
export interface Shown {
  readonly set: RowSet;
  readonly answers: Float32Array;
  /** Of a ranking: what the version ranks. */
  readonly candidates?: NonNullable<Bundle['candidates']>;
}

/** What the stages of a run do, by the kind of its model. */
export interface StageWork {
  /** Makes what the later stages need beside the dataset; undefined if they need nothing. */
  readonly prepare: (() => Pieces<void>) | undefined;
  readonly learn: () => Pieces<Lesson>;
  /** @param model the ONNX file that was learned. */
  readonly judge: (model: Uint8Array<ArrayBuffer>) => Pieces<{ evaluation: Evaluation; shown: Shown }>;
  /** The rows that `judge` had, if they are no longer in memory. */
  readonly show: (model: Uint8Array<ArrayBuffer>) => Pieces<Shown>;
}
