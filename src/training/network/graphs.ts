/**
 * The graphs that the ONNX runtime trains with: a step (forward, loss, gradients, Adam), and the loss alone. The state
 * goes in and out as tensors, so a graph is loaded once for many steps and keeps nothing.
 */
import type { TrainingTask } from '../columns.ts';
import {
  BATCH_DIMENSION,
  floatTensor,
  integerTensor,
  type NodeParts,
  onnxFile,
  type Value,
} from '../onnx/file.ts';
import type { Layer, Scaling } from './layout.ts';

/** ONNX's number of the element type float32. */
const FLOAT = 1;
/** Adam's decay of the two moments, and what keeps its quotient finite (Kingma and Ba, 2015). */
export const ADAM = { first: 0.9, second: 0.999, epsilon: 1e-8 } as const;

/** What both graphs are made of. */
export interface NetworkShape {
  readonly task: TrainingTask;
  readonly layers: readonly Layer[];
  readonly scaling: Scaling;
  readonly decay: number;
}

type Constants = ReturnType<typeof floatTensor>[];

/** The nodes of a graph while it is built. */
class Builder {
  readonly nodes: NodeParts[] = [];
  readonly constants: Constants = [];

  /** Adds a node with one output. @returns the output's name. */
  add(
    op: string,
    inputs: readonly string[],
    made: string,
    attributes: NodeParts['attributes'] = {},
    domain?: 'ai.onnx.ml',
  ): string {
    this.nodes.push({ op, inputs, outputs: [made], attributes, ...(domain === undefined ? {} : { domain }) });
    return made;
  }

  floats(name: string, dims: number[], values: ArrayLike<number>): string {
    this.constants.push(floatTensor(name, dims, values));
    return name;
  }

  integers(name: string, values: readonly number[]): string {
    this.constants.push(integerTensor(name, values));
    return name;
  }
}

const rows = (name: string, width: number): Value => ({ name, shape: [BATCH_DIMENSION, width] });
const vector = (name: string, length: number): Value => ({ name, shape: [length] });
const ROW_INPUTS = [rows('labels', 1), rows('weights', 1)];

/**
 * One step: `features [batch, columns]` raw, `labels` and `weights [batch, 1]`; `parameters`, `first`, `second`;
 * `rate [1]`, and `first_share` and `second_share [1]`, the corrections of the moments. It answers the next of the three,
 * `loss`, the weighted mean of the batch, and `gradient`.
 */
export function stepGraph(shape: NetworkShape): Uint8Array<ArrayBuffer> {
  const { layers } = shape;
  const length = layers.at(-1)?.end ?? 0;
  const build = new Builder();
  forward(build, shape);
  build.add('ReduceSum', ['weights'], 'total', { keepdims: { int: 0 } });
  build.add('Div', ['weights', 'total'], 'share');
  build.add('Mul', ['share', 'row_loss'], 'shared_loss');
  build.add('ReduceSum', ['shared_loss'], 'loss', { keepdims: { int: 0 } });
  backward(build, shape);
  adam(build, shape, length);
  const state = (suffix: string) =>
    ['parameters', 'first', 'second'].map((name) => vector(`${name}${suffix}`, length));
  return onnxFile({
    graph: 'step',
    nodes: build.nodes,
    constants: build.constants,
    inputs: [
      rows('features', layers[0]?.inputs ?? 0),
      ...ROW_INPUTS,
      ...state(''),
      ...['rate', 'first_share', 'second_share'].map((name) => vector(name, 1)),
    ],
    outputs: [...state('_next'), { name: 'loss', shape: [] }, vector('gradient', length)],
    metadata: {},
  });
}

/** The loss alone: `features`, `labels`, `weights` and `parameters` give `loss_sum`, weighted and not divided. */
export function lossGraph(shape: NetworkShape): Uint8Array<ArrayBuffer> {
  const { layers } = shape;
  const build = new Builder();
  forward(build, shape);
  build.add('Mul', ['weights', 'row_loss'], 'weighted_loss');
  build.add('ReduceSum', ['weighted_loss'], 'loss_sum', { keepdims: { int: 0 } });
  return onnxFile({
    graph: 'loss',
    nodes: build.nodes,
    constants: build.constants,
    inputs: [
      rows('features', layers[0]?.inputs ?? 0),
      ...ROW_INPUTS,
      vector('parameters', layers.at(-1)?.end ?? 0),
    ],
    outputs: [{ name: 'loss_sum', shape: [] }],
    metadata: {},
  });
}

/** From `features` to `row_loss [batch, 1]`: the log loss in nats, or half the squared error of the scaled label. */
function forward(build: Builder, { task, layers, scaling }: NetworkShape): void {
  const { mean, scale, labelMean, labelDeviation } = scaling;
  standardise(build, mean, scale);
  for (const [at, { inputs, units, weights, biases, end }] of layers.entries()) {
    slice(build, `flat_weights_${at}`, weights, biases);
    build.add(
      'Reshape',
      [`flat_weights_${at}`, build.integers(`weights_shape_${at}`, [inputs, units])],
      `weights_${at}`,
    );
    slice(build, `biases_${at}`, biases, end);
    build.add('Gemm', [`layer_${at}`, `weights_${at}`, `biases_${at}`], `sum_${at}`);
    if (at < layers.length - 1) build.add('Relu', [`sum_${at}`], `layer_${at + 1}`);
  }
  const score = `sum_${layers.length - 1}`;
  if (task === 'binary') {
    build.add('Sigmoid', [score], 'answer');
    build.add('Sub', ['answer', 'labels'], 'error');
    build.add('Softplus', [score], 'log_total');
    build.add('Mul', [score, 'labels'], 'scored');
    build.add('Sub', ['log_total', 'scored'], 'row_loss');
  } else {
    build.add('Sub', ['labels', build.floats('label_mean', [1], [labelMean])], 'centred_labels');
    build.add('Div', ['centred_labels', build.floats('label_deviation', [1], [labelDeviation])], 'targets');
    build.add('Sub', [score, 'targets'], 'error');
    build.add('Mul', ['error', 'error'], 'squared');
    build.add('Mul', ['squared', build.floats('half', [1], [0.5])], 'row_loss');
  }
}

/** From the raw `features` to `layer_0`: a missing value is its column's mean, which is 0 there. */
export function standardise(
  build: Pick<Builder, 'add'>,
  mean: Float32Array,
  scale: Float32Array,
  features = 'features',
): void {
  build.add(
    'Imputer',
    [features],
    'whole',
    { imputed_value_floats: { floats: [...mean] }, replaced_value_float: { float: Number.NaN } },
    'ai.onnx.ml',
  );
  build.add(
    'Scaler',
    ['whole'],
    'layer_0',
    { offset: { floats: [...mean] }, scale: { floats: [...scale] } },
    'ai.onnx.ml',
  );
}

function slice(build: Builder, made: string, start: number, end: number): void {
  build.add(
    'Slice',
    ['parameters', build.integers(`${made}_start`, [start]), build.integers(`${made}_end`, [end])],
    made,
  );
}

/** The gradient of the loss by each parameter, without the penalty: `gradient_0` and so on, joined as `slope`. */
function backward(build: Builder, { layers }: NetworkShape): void {
  const flat = build.integers('flat', [-1]);
  const overRows = build.integers('over_rows', [0]);
  const parts: string[] = [];
  const last = layers.length - 1;
  build.add('Mul', ['error', 'share'], `delta_${last}`);
  for (let at = last; at >= 0; at -= 1) {
    const delta = `delta_${at}`;
    build.add('Gemm', [`layer_${at}`, delta], `slope_${at}`, { transA: { int: 1 } });
    build.add('Reshape', [`slope_${at}`, flat], `flat_slope_${at}`);
    build.add('ReduceSum', [delta, overRows], `bias_slope_${at}`, { keepdims: { int: 0 } });
    parts.unshift(`flat_slope_${at}`, `bias_slope_${at}`);
    if (at === 0) break;
    build.add('Gemm', [delta, `weights_${at}`], `back_${at}`, { transB: { int: 1 } });
    const zero = build.floats(`zero_${at}`, [1], [0]);
    build.add('Greater', [`sum_${at - 1}`, zero], `is_active_${at}`);
    build.add('Cast', [`is_active_${at}`], `active_${at}`, { to: { int: FLOAT } });
    build.add('Mul', [`back_${at}`, `active_${at}`], `delta_${at - 1}`);
  }
  build.add('Concat', parts, 'slope', { axis: { int: 0 } });
}

/** The step of Adam, with the penalty in the gradient. */
function adam(build: Builder, { layers, decay }: NetworkShape, length: number): void {
  const decays = new Float32Array(length);
  for (const { weights, biases } of layers) decays.fill(decay, weights, biases);
  const number = (name: string, value: number) => build.floats(name, [1], [value]);
  build.add('Mul', ['parameters', build.floats('decays', [length], decays)], 'penalty');
  build.add('Add', ['slope', 'penalty'], 'gradient');
  build.add('Mul', ['first', number('keep_first', ADAM.first)], 'kept_first');
  build.add('Mul', ['gradient', number('take_first', 1 - ADAM.first)], 'taken_first');
  build.add('Add', ['kept_first', 'taken_first'], 'first_next');
  build.add('Mul', ['gradient', 'gradient'], 'gradient_squared');
  build.add('Mul', ['second', number('keep_second', ADAM.second)], 'kept_second');
  build.add('Mul', ['gradient_squared', number('take_second', 1 - ADAM.second)], 'taken_second');
  build.add('Add', ['kept_second', 'taken_second'], 'second_next');
  build.add('Div', ['first_next', 'first_share'], 'first_corrected');
  build.add('Div', ['second_next', 'second_share'], 'second_corrected');
  build.add('Sqrt', ['second_corrected'], 'deviation');
  build.add('Add', ['deviation', number('epsilon', ADAM.epsilon)], 'finite_deviation');
  build.add('Div', ['first_corrected', 'finite_deviation'], 'direction');
  build.add('Mul', ['direction', 'rate'], 'move');
  build.add('Sub', ['parameters', 'move'], 'parameters_next');
}
