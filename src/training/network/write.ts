/** Writes a network as an ONNX model that takes raw columns: what is missing, and the scaling, are in the graph. */
import { BATCH_DIMENSION, floatTensor, type NodeParts, onnxFile } from '../onnx/file.ts';
import { TrainingRefused } from '../refusal.ts';
import { standardise } from './graphs.ts';
import type { Layer } from './layout.ts';
import type { NetworkState } from './train.ts';

/** How the graph's input and output are called. */
export interface NetworkNames {
  readonly input: string;
  readonly output: string;
}

export const NETWORK_NAMES: NetworkNames = { input: 'features', output: 'value' };

/**
 * The model of a training that is done: float32 `[batch, columns]` to float32 `[batch, 1]`, the number of a regression or
 * the probability of 1. Without hidden layers it has a linear operator, which can be explained column by column.
 *
 * @param metadata what `metadata_props` says about the model's origin.
 * @throws TrainingRefused `not_finished`
 */
export function writeNetwork(
  state: NetworkState,
  metadata: Readonly<Record<string, string>>,
  { input, output }: NetworkNames = NETWORK_NAMES,
): Uint8Array<ArrayBuffer> {
  if (!state.isDone) throw new TrainingRefused('not_finished', 'The training has more epochs to learn from.');
  const { layers, scaling, recipe } = state;
  const nodes: NodeParts[] = [];
  const constants: ReturnType<typeof floatTensor>[] = [];
  const add: Parameters<typeof standardise>[0]['add'] = (op, inputs, made, attributes = {}, domain) => {
    nodes.push({ op, inputs, outputs: [made], attributes, ...(domain === undefined ? {} : { domain }) });
    return made;
  };
  standardise({ add }, scaling.mean, scaling.scale, input);
  const answer = recipe.task === 'binary' ? 'log_odds' : output;
  for (const [at, layer] of layers.entries()) {
    const isLast = at === layers.length - 1;
    const { weights, biases } = parametersOf(state, layer, isLast);
    if (layers.length === 1) {
      const attributes = { coefficients: { floats: [...weights] }, intercepts: { floats: [...biases] } };
      add('LinearRegressor', ['layer_0'], answer, attributes, 'ai.onnx.ml');
      break;
    }
    constants.push(floatTensor(`weights_${at}`, [layer.inputs, layer.units], weights));
    constants.push(floatTensor(`biases_${at}`, [layer.units], biases));
    add('Gemm', [`layer_${at}`, `weights_${at}`, `biases_${at}`], isLast ? answer : `sum_${at}`);
    if (!isLast) add('Relu', [`sum_${at}`], `layer_${at + 1}`);
  }
  if (recipe.task === 'binary') add('Sigmoid', [answer], output);
  return onnxFile({
    graph: 'network',
    nodes,
    constants,
    inputs: [{ name: input, shape: [BATCH_DIMENSION, state.set.columns.length] }],
    outputs: [{ name: output, shape: [BATCH_DIMENSION, 1] }],
    metadata,
  });
}

/** The last layer answers in the unit of the labels. */
function parametersOf({ best, scaling }: NetworkState, { weights, biases, end }: Layer, isLast: boolean) {
  const [scale, offset] = isLast ? [scaling.labelDeviation, scaling.labelMean] : [1, 0];
  return {
    weights: best.subarray(weights, biases).map((value) => value * scale),
    biases: best.subarray(biases, end).map((value) => value * scale + offset),
  };
}
