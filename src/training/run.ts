/**
 * One training, whatever its recipe: begun, taken on step by step, kept as bytes between two steps, and written as an
 * ONNX file. The set, the recipe and the seed decide each byte of it.
 */
import { decodeCheckpoint, invalid } from './checkpoint.ts';
import type { TrainingColumns } from './columns.ts';
import { checkpointNetwork, resumeNetwork } from './network/checkpoint.ts';
import { type NetworkState, startNetwork, stepNetwork } from './network/train.ts';
import { writeNetwork } from './network/write.ts';
import type { TrainingRuntime } from './onnx/runtime.ts';
import { TrainingRefused } from './refusal.ts';
import { startTrees, stepTrees, type TreesState } from './trees/boost.ts';
import { checkpointTrees, resumeTrees } from './trees/checkpoint.ts';
import { writeTrees } from './trees/write.ts';

/** A training between two steps. Nothing in it is ever changed. */
export type TrainingState = TreesState | NetworkState;

/**
 * @param recipe of a kind that is known, with its settings: `{ kind: 'trees', task: 'binary' }`.
 * @throws TrainingRefused
 */
export function startTraining(recipe: unknown, set: TrainingColumns, seed: number): TrainingState {
  const kind: unknown =
    typeof recipe === 'object' && recipe !== null && 'kind' in recipe ? recipe.kind : undefined;
  if (kind === 'trees') return startTrees(recipe, set, seed);
  if (kind === 'network') return startNetwork(recipe, set, seed);
  throw new TrainingRefused(
    'invalid_recipe',
    `kind: there is no recipe "${String(kind)}"; there are trees and network.`,
  );
}

/**
 * The next piece of work: one tree, or the batches of up to an epoch. An epoch over 100,000 rows × 20 columns took 2.6 to
 * 3.9 s on a busy machine. Only a network uses the runtime.
 *
 * @throws TrainingRefused `diverged`; any error of the runtime.
 */
export async function stepTraining(state: TrainingState, runtime: TrainingRuntime): Promise<TrainingState> {
  return state.kind === 'trees' ? stepTrees(state) : await stepNetwork(state, runtime);
}

/** What has been learned so far, without the set. */
export function checkpointOf(state: TrainingState): Uint8Array<ArrayBuffer> {
  return state.kind === 'trees' ? checkpointTrees(state) : checkpointNetwork(state);
}

/**
 * Goes on from a checkpoint, on the same set.
 *
 * @throws TrainingRefused `invalid_checkpoint` if the bytes are no checkpoint, or are one of another set.
 */
export function resumeTraining(bytes: Uint8Array, set: TrainingColumns): TrainingState {
  const checkpoint = decodeCheckpoint(bytes);
  const { header } = checkpoint;
  const kind: unknown =
    typeof header === 'object' && header !== null && 'kind' in header ? header.kind : undefined;
  if (kind === 'trees') return resumeTrees(checkpoint, set);
  if (kind === 'network') return resumeNetwork(checkpoint, set);
  throw invalid();
}

/** How the model's input and output are called. */
export interface ModelNames {
  readonly input: string;
  readonly output: string;
}

/**
 * The model of a training that is done: float32 `[batch, columns]` to float32 `[batch, 1]`, the number of a regression or
 * the probability of 1.
 *
 * @param metadata what `metadata_props` says about the model's origin.
 * @throws TrainingRefused `not_finished`
 */
export function finishTraining(
  state: TrainingState,
  metadata: Readonly<Record<string, string>>,
  names: ModelNames,
): Uint8Array<ArrayBuffer> {
  if (state.kind === 'network') return writeNetwork(state, metadata, names);
  const output = state.recipe.task === 'regression' ? 'value' : 'score';
  return writeTrees(state, output, metadata, { label: 'label', probabilities: 'probabilities', ...names });
}

/** Takes a training on to its end. For scripts: a worker goes step by step. */
export async function runTraining(
  recipe: unknown,
  set: TrainingColumns,
  seed: number,
  runtime: TrainingRuntime,
): Promise<TrainingState> {
  let state = startTraining(recipe, set, seed);
  while (!state.isDone) state = await stepTraining(state, runtime);
  return state;
}
