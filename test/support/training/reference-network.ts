/** A network in double precision, written for reading: what the graphs of training are compared with. */
import { hashText, seededRandom, shuffledIndices } from '../../../src/platform/random.ts';
import type { Layer } from '../../../src/training/network/layout.ts';
import type { NetworkState } from '../../../src/training/network/train.ts';

type Trained = Pick<NetworkState, 'recipe' | 'set' | 'layers' | 'scaling' | 'seed'>;

/** A row as the first layer gets it. */
function scaledRow({ set, scaling }: Trained, row: number): number[] {
  return set.columns.map((column, at) => {
    const value = column[row] ?? 0;
    return Number.isNaN(value) ? 0 : (value - (scaling.mean[at] ?? 0)) * (scaling.scale[at] ?? 0);
  });
}

function multiplied(
  row: readonly number[],
  { inputs, units, weights, biases }: Layer,
  parameters: ArrayLike<number>,
) {
  return Array.from({ length: units }, (_, unit) => {
    let sum = parameters[biases + unit] ?? 0;
    for (let from = 0; from < inputs; from += 1)
      sum += (row[from] ?? 0) * (parameters[weights + from * units + unit] ?? 0);
    return sum;
  });
}

function targetOf({ recipe, set, scaling }: Trained, row: number): number {
  const label = set.labels[row] ?? 0;
  return recipe.task === 'binary' ? label : (label - scaling.labelMean) / scaling.labelDeviation;
}

/** The weighted mean loss of rows and its gradient, without the penalty. */
export function lossAndGradient(trained: Trained, parameters: ArrayLike<number>, rows: Uint32Array) {
  const { layers, set, recipe } = trained;
  const gradient = new Float64Array(parameters.length);
  const total = rows.reduce((sum, row) => sum + (set.weights?.[row] ?? 1), 0);
  let loss = 0;
  for (const row of rows) {
    const inputs = [scaledRow(trained, row)];
    for (const [at, layer] of layers.entries()) {
      const sums = multiplied(inputs[at] ?? [], layer, parameters);
      inputs.push(at === layers.length - 1 ? sums : sums.map((sum) => Math.max(0, sum)));
    }
    const [score = 0] = inputs.at(-1) ?? [];
    const target = targetOf(trained, row);
    const share = (set.weights?.[row] ?? 1) / total;
    const isBinary = recipe.task === 'binary';
    loss += share * (isBinary ? Math.log1p(Math.exp(score)) - score * target : (score - target) ** 2 / 2);
    let delta = [share * ((isBinary ? 1 / (1 + Math.exp(-score)) : score) - target)];
    for (const [at, layer] of [...layers.entries()].reverse()) {
      const own = inputs[at] ?? [];
      for (const [unit, error] of delta.entries()) {
        gradient[layer.biases + unit] = (gradient[layer.biases + unit] ?? 0) + error;
        for (const [from, value] of own.entries()) {
          const position = layer.weights + from * layer.units + unit;
          gradient[position] = (gradient[position] ?? 0) + error * value;
        }
      }
      delta = own.map((value, from) =>
        value > 0
          ? delta.reduce(
              (sum, error, unit) =>
                sum + error * (parameters[layer.weights + from * layer.units + unit] ?? 0),
              0,
            )
          : 0,
      );
    }
  }
  return { loss, gradient };
}

/** Trains as `stepNetwork` does, for all epochs. @returns the parameters. */
export function trainedReference(trained: Trained, start: ArrayLike<number>): Float64Array {
  const { recipe, set, layers, seed } = trained;
  const parameters = Float64Array.from(start);
  const [first, second] = [new Float64Array(start.length), new Float64Array(start.length)];
  const all = recipe.epochs * Math.ceil(set.trainingRows / recipe.batch);
  let batches = 0;
  for (let epoch = 0; epoch < recipe.epochs; epoch += 1) {
    const order = shuffledIndices(set.trainingRows, seededRandom(hashText(`${seed}:${epoch}`)));
    for (let from = 0; from < set.trainingRows; from += recipe.batch) {
      const { gradient } = lossAndGradient(trained, parameters, order.subarray(from, from + recipe.batch));
      for (const { weights, biases } of layers)
        for (let at = weights; at < biases; at += 1)
          gradient[at] = (gradient[at] ?? 0) + recipe.decay * (parameters[at] ?? 0);
      const rate = recipe.learningRate * (0.05 + (0.95 * (1 + Math.cos((Math.PI * batches) / all))) / 2);
      batches += 1;
      for (const [at, slope] of gradient.entries()) {
        const m = 0.9 * (first[at] ?? 0) + 0.1 * slope;
        const v = 0.999 * (second[at] ?? 0) + 0.001 * slope * slope;
        [first[at], second[at]] = [m, v];
        const move = m / (1 - 0.9 ** batches) / (Math.sqrt(v / (1 - 0.999 ** batches)) + 1e-8);
        parameters[at] = (parameters[at] ?? 0) - rate * move;
      }
    }
  }
  return parameters;
}
