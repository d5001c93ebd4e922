/**
 * Networks trained by the ONNX runtime with Adam on shuffled mini-batches. The runtime computes on one thread in a fixed
 * order, so that the same set, recipe and seed give the same parameters. A step is at most an epoch.
 */

import { NetworkRecipe } from '../../define/training-recipe.ts';
import type { Tensor } from '../../inference/tensors.ts';
import { hashText, seededRandom, shuffledIndices } from '../../platform/random.ts';
import { assertTrainable, type TrainingColumns } from '../columns.ts';
import type { TrainingRuntime, TrainingSession } from '../onnx/runtime.ts';
import { TrainingRefused } from '../refusal.ts';
import { ADAM, lossGraph, type NetworkShape, stepGraph } from './graphs.ts';
import { initialParameters, type Layer, layersOf, type Scaling, scalingOf } from './layout.ts';

/** The most multiplications of a step: about a third of a second. */
const MULTIPLICATIONS_OF_STEP = 300_000_000;
/** Forward, and back for weights and for inputs. */
const PASSES = 3;
/** Rows whose loss is computed at once. */
const ROWS_OF_LOSS = 4_096;
/** The share of the first learning rate that is left at the end. */
const RATE_LEFT = 0.05;
const ROWS_MIN = 20;

/** The mean losses of an epoch: squared errors, or log losses in nats. */
export interface EpochLosses {
  /** Of the batches, each before its step. */
  readonly training: number;
  /** Of the later rows, after the epoch; undefined if there are none. */
  readonly validation: number | undefined;
}

/** Sums over the batches of an epoch that has begun. */
interface BatchSums {
  readonly loss: number;
  readonly weight: number;
}

/** A training of a network. Nothing in it is ever changed, so a state can be kept while the next is made. */
export interface NetworkState {
  readonly kind: 'network';
  readonly recipe: NetworkRecipe;
  readonly seed: number;
  readonly set: TrainingColumns;
  readonly layers: readonly Layer[];
  readonly scaling: Scaling;
  readonly parameters: Float32Array;
  /** Adam's means of gradients and of their squares. */
  readonly first: Float32Array;
  readonly second: Float32Array;
  /** Batches so far, of all epochs. */
  readonly batches: number;
  readonly sums: BatchSums;
  readonly losses: readonly EpochLosses[];
  /** The parameters after the epoch with the lowest loss on the later rows, or the newest ones. */
  readonly best: Float32Array;
  readonly isDone: boolean;
}

/** @throws TrainingRefused */
export function startNetwork(recipe: unknown, set: TrainingColumns, seed: number): NetworkState {
  const { success, data, error } = NetworkRecipe.safeParse(recipe);
  if (!success) {
    const [issue] = error.issues;
    throw new TrainingRefused('invalid_recipe', `${issue?.path.join('.')}: ${issue?.message}`);
  }
  assertTrainable(set, data.task, ROWS_MIN);
  const layers = layersOf(set.columns.length, data.hidden);
  const parameters = initialParameters(layers, set, data.task, seed);
  const zeros = new Float32Array(parameters.length);
  return {
    ...{ kind: 'network', recipe: data, seed, set, layers, scaling: scalingOf(set, data.task) },
    ...{ parameters, first: zeros, second: zeros, best: parameters },
    ...{ batches: 0, sums: { loss: 0, weight: 0 }, losses: [], isDone: false },
  };
}

/**
 * Learns from the next batches, at most to the end of the epoch. A state that is done is returned as it is.
 *
 * @throws TrainingRefused `diverged`; any error of the runtime.
 */
export async function stepNetwork(state: NetworkState, runtime: TrainingRuntime): Promise<NetworkState> {
  if (state.isDone) return state;
  const session = await runtime.load(stepGraph(shapeOf(state)));
  const made = await learn(state, session).finally(() => session.release());
  if (made.batches % batchesOfEpoch(made) !== 0) return made;
  return await endEpoch(made, runtime);
}

function shapeOf({ recipe, layers, scaling }: NetworkState): NetworkShape {
  return { task: recipe.task, layers, scaling, decay: recipe.decay };
}

function batchesOfEpoch({ recipe, set }: NetworkState): number {
  return Math.ceil(set.trainingRows / recipe.batch);
}

async function learn(state: NetworkState, session: TrainingSession): Promise<NetworkState> {
  const { recipe, set } = state;
  const inEpoch = batchesOfEpoch(state);
  const start = state.batches % inEpoch;
  const perStep = MULTIPLICATIONS_OF_STEP / (PASSES * recipe.batch * state.parameters.length);
  const end = Math.min(inEpoch, start + Math.max(1, Math.floor(perStep)));
  const epoch = Math.floor(state.batches / inEpoch);
  const order = shuffledIndices(set.trainingRows, seededRandom(hashText(`${state.seed}:${epoch}`)));
  let { parameters, first, second, sums, batches } = state;
  for (let at = start; at < end; at += 1) {
    const rows = order.subarray(at * recipe.batch, (at + 1) * recipe.batch);
    const made = await session.run(
      {
        ...rowTensors(set, rows),
        ...{ parameters: vector(parameters), first: vector(first), second: vector(second) },
        ...ratesOf(recipe, batches, inEpoch * recipe.epochs),
      },
      ['parameters_next', 'first_next', 'second_next', 'loss'],
    );
    parameters = numbersIn(made['parameters_next']);
    first = numbersIn(made['first_next']);
    second = numbersIn(made['second_next']);
    const weight = weightOf(set, rows);
    sums = {
      loss: sums.loss + weight * (numbersIn(made['loss'])[0] ?? Number.NaN),
      weight: sums.weight + weight,
    };
    batches += 1;
  }
  return { ...state, parameters, first, second, batches, sums };
}

/** Adds an epoch's losses, keeps its parameters if they are the best, and says whether it was the last. */
async function endEpoch(state: NetworkState, runtime: TrainingRuntime): Promise<NetworkState> {
  const { recipe, sums, scaling } = state;
  // The graph's loss is half the squared error of labels that are divided by their deviation.
  const unit = recipe.task === 'regression' ? 2 * scaling.labelDeviation ** 2 : 1;
  const training = (unit * sums.loss) / sums.weight;
  const later = await laterLoss(state, runtime);
  const validation = later === undefined ? undefined : unit * later;
  if (!Number.isFinite(training) || !(validation === undefined || Number.isFinite(validation)))
    throw new TrainingRefused('diverged', 'The loss is no finite number: the recipe learns too fast.');
  const before = state.losses.map((of) => of.validation ?? Number.POSITIVE_INFINITY);
  const losses = [...state.losses, { training, validation }];
  const isBest = validation === undefined || validation < Math.min(...before);
  const bestAt = isBest ? before.length : before.indexOf(Math.min(...before));
  const isStale = recipe.patience > 0 && losses.length - 1 - bestAt >= recipe.patience;
  return {
    ...state,
    losses,
    sums: { loss: 0, weight: 0 },
    best: isBest ? state.parameters : state.best,
    isDone: losses.length === recipe.epochs || isStale,
  };
}

/** The weighted mean loss of the later rows, in the graph's unit; undefined if there are none. */
async function laterLoss(state: NetworkState, runtime: TrainingRuntime): Promise<number | undefined> {
  const { set } = state;
  const rows = set.labels.length;
  if (set.trainingRows === rows) return undefined;
  const session = await runtime.load(lossGraph(shapeOf(state)));
  try {
    let [sum, total] = [0, 0];
    for (let start = set.trainingRows; start < rows; start += ROWS_OF_LOSS) {
      const length = Math.min(ROWS_OF_LOSS, rows - start);
      const chunk = Uint32Array.from({ length }, (_, at) => start + at);
      const made = await session.run({ ...rowTensors(set, chunk), parameters: vector(state.parameters) });
      sum += numbersIn(made['loss_sum'])[0] ?? Number.NaN;
      total += weightOf(set, chunk);
    }
    return sum / total;
  } finally {
    session.release();
  }
}

/** Some rows of a set, as both graphs take them. */
export function rowTensors(set: TrainingColumns, rows: Uint32Array): Readonly<Record<string, Tensor>> {
  const width = set.columns.length;
  const features = new Float32Array(rows.length * width);
  for (const [at, column] of set.columns.entries())
    for (let row = 0; row < rows.length; row += 1) features[row * width + at] = column[rows[row] ?? 0] ?? 0;
  const { labels, weights } = set;
  const one = (pick: (row: number) => number): Tensor => ({
    datatype: 'FP32',
    shape: [rows.length, 1],
    data: Float32Array.from(rows, pick),
  });
  return {
    features: { datatype: 'FP32', shape: [rows.length, width], data: features },
    labels: one((row) => labels[row] ?? 0),
    weights: one((row) => weights?.[row] ?? 1),
  };
}

function weightOf({ weights }: TrainingColumns, rows: Uint32Array): number {
  return weights === undefined ? rows.length : rows.reduce((sum, row) => sum + (weights[row] ?? 0), 0);
}

/** The rate of a step, and the shares of the moments that it has seen. */
function ratesOf(
  { learningRate }: NetworkRecipe,
  batches: number,
  all: number,
): Readonly<Record<string, Tensor>> {
  const cosine = (1 + Math.cos((Math.PI * batches) / all)) / 2;
  return {
    rate: vector(Float32Array.of(learningRate * (RATE_LEFT + (1 - RATE_LEFT) * cosine))),
    first_share: vector(Float32Array.of(1 - ADAM.first ** (batches + 1))),
    second_share: vector(Float32Array.of(1 - ADAM.second ** (batches + 1))),
  };
}

function vector(data: Float32Array): Tensor {
  return { datatype: 'FP32', shape: [data.length], data };
}

function numbersIn(tensor: Tensor | undefined): Float32Array {
  if (tensor?.data instanceof Float32Array) return tensor.data;
  throw new Error('The runtime answered no float32 tensor.');
}
