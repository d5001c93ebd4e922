/**
 * Gradient-boosted trees over histograms (Friedman, 2001; Ke et al., "LightGBM", 2017): plain arithmetic on one thread
 * in a fixed order, so that the same set, recipe and seed give the same trees. A step grows one tree.
 */

import { TreesRecipe } from '../../define/training-recipe.ts';
import { hashText, type Random, seededRandom, shuffledIndices } from '../../platform/random.ts';
import { assertTrainable, type TrainingColumns } from '../columns.ts';
import { TrainingRefused } from '../refusal.ts';
import { type BinnedColumns, binColumns } from './bins.ts';
import { growTree, type Sample } from './grow.ts';
import { NUMBERS_OF_BIN } from './histogram.ts';
import { baseScore, derivativesOf, type LabelledRows, meanLoss } from './loss.ts';
import { addTree, type Tree } from './tree.ts';

/** The most bytes of the histograms of the leaves of one tree. */
const HISTOGRAM_BYTES_MAX = 32 * 1024 * 1024;

/** The mean losses after a tree: squared errors, or log losses in nats. */
export interface TreeLosses {
  readonly training: number;
  /** Of the later rows; undefined if there are none. */
  readonly validation: number | undefined;
}

/** A training of trees. Nothing in it is ever changed, so a state can be kept while the next is made. */
export interface TreesState {
  readonly kind: 'trees';
  readonly recipe: TreesRecipe;
  readonly seed: number;
  readonly names: readonly string[];
  readonly data: BinnedColumns;
  readonly rows: LabelledRows;
  readonly trainingRows: number;
  readonly base: number;
  readonly trees: readonly Tree[];
  readonly losses: readonly TreeLosses[];
  /** The score of each row by the trees so far. */
  readonly scores: Float64Array;
  readonly isDone: boolean;
}

/**
 * Validates the recipe and the set, and rounds the columns to bins: about 10 ns for each value.
 *
 * @throws TrainingRefused
 */
export function startTrees(recipe: unknown, set: TrainingColumns, seed: number): TreesState {
  const checked = checkedRecipe(recipe);
  assertTrainable(set, checked.task, 2 * checked.leafRows);
  const { names, columns, labels, weights, trainingRows } = set;
  const data = binColumns(columns, trainingRows, checked.bins);
  const bytes = data.length * NUMBERS_OF_BIN * Float64Array.BYTES_PER_ELEMENT * checked.leaves;
  if (bytes > HISTOGRAM_BYTES_MAX)
    throw new TrainingRefused(
      'training_too_large',
      `The histograms of ${checked.leaves} leaves and ${data.length} bins take ${bytes} bytes; at most ${HISTOGRAM_BYTES_MAX} are allowed. Use fewer leaves, bins or columns.`,
    );
  const rows = { labels, weights };
  const base = baseScore(rows, trainingRows, checked.task);
  return {
    ...{ kind: 'trees', recipe: checked, seed, names, data, rows, trainingRows, base },
    trees: [],
    losses: [],
    scores: new Float64Array(data.rows).fill(base),
    isDone: false,
  };
}

/** @throws TrainingRefused `invalid_recipe` */
export function checkedRecipe(recipe: unknown): TreesRecipe {
  const { success, data, error } = TreesRecipe.safeParse(recipe);
  if (success) return data;
  const [issue] = error.issues;
  throw new TrainingRefused(
    'invalid_recipe',
    `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'invalid'}`,
  );
}

/**
 * Grows the next tree. A state that is done is returned as it is; training is also done where the sample of rows allows
 * no split.
 *
 * @throws TrainingRefused `diverged`
 */
export function stepTrees(state: TreesState): TreesState {
  if (state.isDone) return state;
  const { recipe, data, rows, trainingRows, scores } = state;
  const derivatives = derivativesOf(rows, scores, trainingRows, recipe.task);
  const tree = growTree(data, derivatives, sampleOf(state), recipe);
  if (tree === undefined) return { ...state, isDone: true };
  const moved = scores.slice();
  addTree(tree, data, moved);
  const losses = [...state.losses, lossesOf(state, moved)];
  if (!Number.isFinite(losses.at(-1)?.training))
    throw new TrainingRefused(
      'diverged',
      'The loss is no finite number: the labels are too large, or the recipe learns too fast.',
    );
  const trees = [...state.trees, tree];
  const isDone = trees.length === recipe.trees || isStale(losses, recipe.patience);
  return { ...state, trees, losses, scores: moved, isDone };
}

function lossesOf({ rows, trainingRows, data, recipe }: TreesState, scores: Float64Array): TreeLosses {
  return {
    training: meanLoss(rows, scores, [0, trainingRows], recipe.task),
    validation:
      trainingRows === data.rows ? undefined : meanLoss(rows, scores, [trainingRows, data.rows], recipe.task),
  };
}

function isStale(losses: readonly TreeLosses[], patience: number): boolean {
  if (patience === 0 || losses.at(-1)?.validation === undefined) return false;
  return losses.length - bestLength(losses) >= patience;
}

/** How many trees the model has: up to the lowest loss on the later rows, or all if there are none. */
export function bestLength(losses: readonly TreeLosses[]): number {
  let best = 0;
  for (const [at, { validation }] of losses.entries()) {
    if (validation === undefined) return losses.length;
    if (validation < (losses[best]?.validation ?? 0)) best = at;
  }
  return Math.min(best + 1, losses.length);
}

/** What the next tree may see. It depends on the seed and the number of the tree alone. */
function sampleOf({ recipe, seed, trees, data, trainingRows }: TreesState): Sample {
  const random = (what: string) => seededRandom(hashText(`${seed}:${trees.length}:${what}`));
  return {
    order: sampledRows(trainingRows, recipe.rowShare, random('rows')),
    columns: sampledColumns(data.columns, recipe.columnShare, random('columns')),
  };
}

function sampledRows(rows: number, share: number, random: Random): Uint32Array {
  const all = Uint32Array.from({ length: rows }, (_, row) => row);
  return share === 1 ? all : all.filter(() => random() < share);
}

function sampledColumns(columns: number, share: number, random: Random): Uint16Array {
  const kept = Math.max(1, Math.round(columns * share));
  return Uint16Array.from(shuffledIndices(columns, random).subarray(0, kept)).sort();
}
