/** Where the parameters of each layer lie in one vector, and what they begin with. */
import { hashText, seededRandom } from '../../platform/random.ts';
import type { TrainingColumns, TrainingTask } from '../columns.ts';

/** A layer: weights `[inputs, units]`, row-major, then `units` biases. */
export interface Layer {
  readonly inputs: number;
  readonly units: number;
  /** Where its weights and its biases begin, and where these end. */
  readonly weights: number;
  readonly biases: number;
  readonly end: number;
}

/** The layers of a network with one output. */
export function layersOf(width: number, hidden: readonly number[]): Layer[] {
  const units = [...hidden, 1];
  const layers: Layer[] = [];
  for (const [at, own] of units.entries()) {
    const inputs = at === 0 ? width : (units[at - 1] ?? 0);
    const weights = layers.at(-1)?.end ?? 0;
    const biases = weights + inputs * own;
    layers.push({ inputs, units: own, weights, biases, end: biases + own });
  }
  return layers;
}

/** How the columns and the labels are scaled; every number is a float32 value. */
export interface Scaling {
  /** A column enters as `(x − mean) × scale`; a missing value as its mean. */
  readonly mean: Float32Array;
  readonly scale: Float32Array;
  /** A network learns `(label − labelMean) / labelDeviation`; 0 and 1 for a probability. */
  readonly labelMean: number;
  readonly labelDeviation: number;
}

/** A column that varies less than this share of its mean is constant: float32 could not tell its values apart. */
const VARIES_MIN = 1e-6;

/** Means and deviations of the rows that are learned from. A column that never varies has the scale 0 and so drops out. */
export function scalingOf(set: TrainingColumns, task: TrainingTask): Scaling {
  const moments = set.columns.map((column) => momentsOf(column.subarray(0, set.trainingRows)));
  const labels = task === 'regression' ? momentsOf(set.labels.subarray(0, set.trainingRows)) : undefined;
  return {
    mean: Float32Array.from(moments, ({ mean }) => mean),
    scale: Float32Array.from(moments, ({ mean, deviation }) =>
      deviation <= VARIES_MIN * Math.abs(mean) ? 0 : 1 / deviation,
    ),
    labelMean: Math.fround(labels?.mean ?? 0),
    labelDeviation: Math.fround(labels?.deviation ?? 1),
  };
}

/** In two passes, because the square of a great mean would swallow a small deviation. Missing values do not count. */
function momentsOf(values: Float32Array): { readonly mean: number; readonly deviation: number } {
  let [sum, count] = [0, 0];
  for (const value of values) {
    if (Number.isNaN(value)) continue;
    sum += value;
    count += 1;
  }
  if (count === 0) return { mean: 0, deviation: 0 };
  const mean = sum / count;
  let squares = 0;
  for (const value of values) if (!Number.isNaN(value)) squares += (value - mean) ** 2;
  return { mean, deviation: Math.sqrt(squares / count) };
}

/** A share is kept this far from 0 and 1, so that its logarithm is finite. */
const SHARE_MIN = 1e-4;

/**
 * Hidden weights are uniform within ±√(6 / inputs) (He et al., 2015), those of the output within a quarter of that.
 * Without hidden layers all are 0. The output begins at the mean of the labels.
 */
export function initialParameters(
  layers: readonly Layer[],
  set: TrainingColumns,
  task: TrainingTask,
  seed: number,
): Float32Array {
  const parameters = new Float32Array(layers.at(-1)?.end ?? 0);
  const random = seededRandom(hashText(`${seed}:parameters`));
  for (const [at, { inputs, weights, biases }] of layers.entries()) {
    const isOutput = at === layers.length - 1;
    const bound = layers.length === 1 ? 0 : Math.sqrt(6 / inputs) / (isOutput ? 4 : 1);
    for (let position = weights; position < biases; position += 1)
      parameters[position] = (2 * random() - 1) * bound;
  }
  if (task === 'binary') parameters[parameters.length - 1] = logOddsOf(set);
  return parameters;
}

function logOddsOf({ labels, weights, trainingRows }: TrainingColumns): number {
  let [sum, total] = [0, 0];
  for (let row = 0; row < trainingRows; row += 1) {
    const weight = weights?.[row] ?? 1;
    sum += weight * (labels[row] ?? 0);
    total += weight;
  }
  const share = Math.min(Math.max(sum / total, SHARE_MIN), 1 - SHARE_MIN);
  return Math.log(share / (1 - share));
}
