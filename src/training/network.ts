/**
 * The ranking network: standardised columns → one ReLU layer → a logistic unit. Plain arithmetic on one thread
 * in a fixed order, so that the same rows and seed give the same bytes.
 */
import { type Random, seededRandom, shuffledIndices } from '../platform/random.ts';

/** A trained network; every number is already a float32 value. */
export interface Network {
  /** Columns of a row. */
  readonly width: number;
  readonly hidden: number;
  /** Per column: the row enters as `(x − mean) × scale`. */
  readonly mean: Float32Array;
  readonly scale: Float32Array;
  readonly parameters: Float32Array;
}

/** What the trainer reads. */
export interface TrainingRows {
  /** `[rows, width]`, row-major. */
  readonly features: Float32Array;
  /** 0 or 1, or a share in between: then the network learns its mean (Papke and Wooldridge, 1996). */
  readonly labels: ArrayLike<number>;
  readonly weights: ArrayLike<number>;
  readonly rows: number;
}

/** The trainer's settings. */
export interface TrainerOptions {
  readonly seed: number;
  readonly hidden: number;
  readonly epochs: number;
  readonly batch: number;
  /** The step of Adam at the start; it falls to a twentieth along a cosine. */
  readonly learningRate: number;
  /** The penalty on squared weights (not on biases). */
  readonly decay: number;
}

/** Settings that did well on real and on generated data of the examples. */
export const TRAINER_DEFAULTS: Omit<TrainerOptions, 'seed'> = {
  hidden: 16,
  epochs: 6,
  batch: 256,
  learningRate: 0.01,
  decay: 1e-5,
};

/** Where each block of parameters lies: input weights `[width, hidden]`, their biases, output weights, bias. */
export function parameterLayout(width: number, hidden: number) {
  const hiddenBias = width * hidden;
  const output = hiddenBias + hidden;
  const outputBias = output + hidden;
  return { hiddenBias, output, outputBias, length: outputBias + 1 };
}

/** Mean and inverse deviation per column; a column that never varies gets scale 0 and so drops out. */
export function standardisation(rows: TrainingRows, width: number) {
  const mean = new Float64Array(width);
  const square = new Float64Array(width);
  for (let row = 0; row < rows.rows; row += 1) {
    for (let column = 0; column < width; column += 1) {
      const value = rows.features[row * width + column] ?? 0;
      mean[column] = (mean[column] ?? 0) + value / rows.rows;
      square[column] = (square[column] ?? 0) + (value * value) / rows.rows;
    }
  }
  const scale = square.map((sum, column) => {
    const variance = sum - (mean[column] ?? 0) ** 2;
    return variance < 1e-8 ? 0 : 1 / Math.sqrt(variance);
  });
  return { mean: Float32Array.from(mean), scale: Float32Array.from(scale) };
}

/**
 * The weighted mean cross-entropy of some rows and its gradient.
 *
 * @param inputs `[rows, width]`, already standardised.
 * @param batch the rows to use.
 * @param gradient filled with the derivative by each parameter.
 * @returns the loss, in nats per unit of weight.
 */
export function lossAndGradient(
  parameters: Float64Array,
  shape: { readonly width: number; readonly hidden: number },
  inputs: Float32Array,
  rows: Pick<TrainingRows, 'labels' | 'weights'>,
  batch: Uint32Array,
  gradient: Float64Array,
): number {
  const { width, hidden } = shape;
  const layout = parameterLayout(width, hidden);
  const activation = new Float64Array(hidden);
  gradient.fill(0);
  let loss = 0;
  let total = 0;
  for (const row of batch) total += rows.weights[row] ?? 0;
  for (const row of batch) {
    const start = row * width;
    const logit = forward(parameters, shape, inputs, start, activation);
    const label = rows.labels[row] ?? 0;
    const share = (rows.weights[row] ?? 0) / total;
    loss += share * (Math.max(logit, 0) - logit * label + Math.log1p(Math.exp(-Math.abs(logit))));
    const error = share * (sigmoid(logit) - label);
    gradient[layout.outputBias] = (gradient[layout.outputBias] ?? 0) + error;
    for (let unit = 0; unit < hidden; unit += 1) {
      const active = activation[unit] ?? 0;
      if (active <= 0) continue;
      const output = layout.output + unit;
      gradient[output] = (gradient[output] ?? 0) + error * active;
      const back = error * (parameters[output] ?? 0);
      const bias = layout.hiddenBias + unit;
      gradient[bias] = (gradient[bias] ?? 0) + back;
      const weights = unit * width;
      for (let column = 0; column < width; column += 1) {
        gradient[weights + column] = (gradient[weights + column] ?? 0) + back * (inputs[start + column] ?? 0);
      }
    }
  }
  return loss;
}

/** One row's logit; input weights are kept unit by unit here, which reads memory in order. */
function forward(
  parameters: Float64Array,
  shape: { readonly width: number; readonly hidden: number },
  inputs: Float32Array,
  start: number,
  activation: Float64Array,
): number {
  const { width, hidden } = shape;
  const layout = parameterLayout(width, hidden);
  let logit = parameters[layout.outputBias] ?? 0;
  for (let unit = 0; unit < hidden; unit += 1) {
    let sum = parameters[layout.hiddenBias + unit] ?? 0;
    const weights = unit * width;
    for (let column = 0; column < width; column += 1) {
      sum += (parameters[weights + column] ?? 0) * (inputs[start + column] ?? 0);
    }
    const active = Math.max(sum, 0);
    activation[unit] = active;
    logit += active * (parameters[layout.output + unit] ?? 0);
  }
  return logit;
}

function sigmoid(x: number): number {
  return x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x));
}

/** Trains a network with Adam (Kingma and Ba, 2015) on shuffled mini-batches. */
export function trainNetwork(rows: TrainingRows, width: number, options: TrainerOptions): Network {
  const { hidden, epochs, batch } = options;
  const { mean, scale } = standardisation(rows, width);
  const inputs = standardise(rows, width, mean, scale);
  const random = seededRandom(options.seed);
  const parameters = initialParameters(width, hidden, baseRate(rows), random);
  const gradient = new Float64Array(parameters.length);
  const adam = newAdam(parameters.length, width * hidden, options.decay);
  const steps = epochs * Math.ceil(rows.rows / batch);
  let step = 0;
  for (let epoch = 0; epoch < epochs; epoch += 1) {
    const order = shuffledIndices(rows.rows, random);
    for (let start = 0; start < rows.rows; start += batch) {
      lossAndGradient(
        parameters,
        { width, hidden },
        inputs,
        rows,
        order.subarray(start, start + batch),
        gradient,
      );
      const cosine = (1 + Math.cos((Math.PI * step) / steps)) / 2;
      step += 1;
      adam(parameters, gradient, step, options.learningRate * (0.05 + 0.95 * cosine));
    }
  }
  return { width, hidden, mean, scale, parameters: Float32Array.from(parameters) };
}

function standardise(
  rows: TrainingRows,
  width: number,
  mean: Float32Array,
  scale: Float32Array,
): Float32Array {
  return rows.features.map((value, position) => {
    const column = position % width;
    return (value - (mean[column] ?? 0)) * (scale[column] ?? 0);
  });
}

/** The weighted mean of the labels, kept away from 0 and 1. */
function baseRate(rows: TrainingRows): number {
  let positive = 0;
  let total = 0;
  for (let row = 0; row < rows.rows; row += 1) {
    const weight = rows.weights[row] ?? 0;
    total += weight;
    positive += weight * (rows.labels[row] ?? 0);
  }
  return Math.min(Math.max(positive / Math.max(total, 1), 1e-4), 1 - 1e-4);
}

/** Uniform weights within ±√(6 / inputs) (He et al., 2015); the output starts at the base rate. */
function initialParameters(width: number, hidden: number, rate: number, random: Random): Float64Array {
  const layout = parameterLayout(width, hidden);
  const parameters = new Float64Array(layout.length);
  const bound = Math.sqrt(6 / width);
  for (let position = 0; position < layout.hiddenBias; position += 1) {
    parameters[position] = (2 * random() - 1) * bound;
  }
  const outputBound = Math.sqrt(6 / hidden) / 4;
  for (let unit = 0; unit < hidden; unit += 1) {
    parameters[layout.output + unit] = (2 * random() - 1) * outputBound;
  }
  parameters[layout.outputBias] = Math.log(rate / (1 - rate));
  return parameters;
}

type AdamStep = (parameters: Float64Array, gradient: Float64Array, step: number, rate: number) => void;

/** @param decayed how many leading parameters (the input weights) the decay applies to. */
function newAdam(length: number, decayed: number, decay: number): AdamStep {
  const first = new Float64Array(length);
  const second = new Float64Array(length);
  return (parameters, gradient, step, rate) => {
    const firstBias = 1 - 0.9 ** step;
    const secondBias = 1 - 0.999 ** step;
    for (let position = 0; position < length; position += 1) {
      const value = parameters[position] ?? 0;
      const slope = (gradient[position] ?? 0) + (position < decayed ? decay * value : 0);
      const m = 0.9 * (first[position] ?? 0) + 0.1 * slope;
      const v = 0.999 * (second[position] ?? 0) + 0.001 * slope * slope;
      first[position] = m;
      second[position] = v;
      parameters[position] = value - (rate * (m / firstBias)) / (Math.sqrt(v / secondBias) + 1e-8);
    }
  };
}

/**
 * The network's answer, rounded to float32 after every operation as the ONNX runtime does; the runtime may add
 * in another order, so the two agree to about 1e-6, not to the bit.
 *
 * @param features `[rows, width]`, row-major.
 * @returns one score (0 to 1) per row.
 */
export function scoreRows(network: Network, features: Float32Array): Float32Array {
  const { width, hidden, mean, scale, parameters } = network;
  const layout = parameterLayout(width, hidden);
  const { fround } = Math;
  const input = new Float32Array(width);
  return Float32Array.from({ length: features.length / width }, (_, row) => {
    for (let column = 0; column < width; column += 1) {
      const centred = fround((features[row * width + column] ?? 0) - (mean[column] ?? 0));
      input[column] = centred * (scale[column] ?? 0);
    }
    let logit = 0;
    for (let unit = 0; unit < hidden; unit += 1) {
      let sum = 0;
      for (let column = 0; column < width; column += 1) {
        const term = fround((input[column] ?? 0) * (parameters[unit * width + column] ?? 0));
        sum = fround(sum + term);
      }
      sum = fround(sum + (parameters[layout.hiddenBias + unit] ?? 0));
      if (sum > 0) logit = fround(logit + fround(sum * (parameters[layout.output + unit] ?? 0)));
    }
    return sigmoid(fround(logit + (parameters[layout.outputBias] ?? 0)));
  });
}
