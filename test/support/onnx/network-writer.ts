/** Writes a network as an ONNX model (opset 17). */

import {
  BATCH_DIMENSION,
  floatTensor,
  integerTensor,
  type NodeParts,
  onnxFile,
} from '../../../src/training/onnx/file.ts';
import { type Network, parameterLayout } from './network.ts';

/** The graph's input: float32 `[batch, width]`. */
export const MODEL_INPUT = 'features';
/** The graph's output: float32 `[batch]`, each 0 to 1. */
export const MODEL_OUTPUT = 'score';

/** The input weights as MatMul wants them: from unit by unit to `[width, hidden]`. */
function inputWeights(network: Network): Float32Array {
  const { width, hidden, parameters } = network;
  return Float32Array.from({ length: width * hidden }, (_, position) => {
    const column = Math.floor(position / hidden);
    return parameters[(position % hidden) * width + column] ?? 0;
  });
}

function initializers(network: Network) {
  const { width, hidden, parameters } = network;
  const layout = parameterLayout(width, hidden);
  return [
    floatTensor('mean', [width], network.mean),
    floatTensor('scale', [width], network.scale),
    floatTensor('hidden_weight', [width, hidden], inputWeights(network)),
    floatTensor('hidden_bias', [hidden], parameters.subarray(layout.hiddenBias, layout.output)),
    floatTensor('output_weight', [hidden, 1], parameters.subarray(layout.output, layout.outputBias)),
    floatTensor('output_bias', [1], parameters.subarray(layout.outputBias)),
    integerTensor('last_axis', [1]),
  ];
}

/**
 * Serialises the network: standardisation, one ReLU layer, a logistic unit, with the batch as a named dynamic
 * dimension.
 *
 * @param metadata what `metadata_props` says about the model's origin; written in the order of its keys.
 * @returns the bytes of a ModelProto; the same network and metadata give the same bytes.
 */
export function writeOnnx(network: Network, metadata: Readonly<Record<string, string>>): Uint8Array {
  const node = (op: string, inputs: string[], made: string): NodeParts => ({ op, inputs, outputs: [made] });
  return onnxFile({
    graph: 'network',
    nodes: [
      node('Sub', [MODEL_INPUT, 'mean'], 'centred'),
      node('Mul', ['centred', 'scale'], 'standardised'),
      node('MatMul', ['standardised', 'hidden_weight'], 'hidden_sum'),
      node('Add', ['hidden_sum', 'hidden_bias'], 'hidden_logit'),
      node('Relu', ['hidden_logit'], 'hidden'),
      node('MatMul', ['hidden', 'output_weight'], 'output_sum'),
      node('Add', ['output_sum', 'output_bias'], 'logit'),
      node('Sigmoid', ['logit'], 'probability'),
      node('Squeeze', ['probability', 'last_axis'], MODEL_OUTPUT),
    ],
    constants: initializers(network),
    inputs: [{ name: MODEL_INPUT, shape: [BATCH_DIMENSION, network.width] }],
    outputs: [{ name: MODEL_OUTPUT, shape: [BATCH_DIMENSION] }],
    metadata,
  });
}
