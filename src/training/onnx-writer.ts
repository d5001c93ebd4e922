/** Writes a trained network as an ONNX model (opset 17): what serving loads is one self-contained graph. */
import onnxProto from 'onnx-proto';
import { type Network, parameterLayout } from './network.ts';

const { onnx } = onnxProto;

/** The graph's input: float32 `[batch, width]`. */
export const MODEL_INPUT = 'features';
/** The graph's output: float32 `[batch]`, each 0 to 1. */
export const MODEL_OUTPUT = 'score';
/** The name of the dynamic dimension: runtimes report unnamed ones in different ways. */
export const BATCH_DIMENSION = 'batch';
const OPSET = 17;
/** The format version that came with opset 17. */
const IR_VERSION = 8;

/** The raw little-endian bytes of float32 values, whatever the machine's byte order. */
function floatBytes(values: ArrayLike<number>): Uint8Array {
  const view = new DataView(new ArrayBuffer(values.length * 4));
  for (let position = 0; position < values.length; position += 1) {
    view.setFloat32(position * 4, values[position] ?? 0, true);
  }
  return new Uint8Array(view.buffer);
}

function floatTensor(name: string, dims: number[], values: ArrayLike<number>) {
  return { name, dims, dataType: onnx.TensorProto.DataType.FLOAT, rawData: floatBytes(values) };
}

function valueInfo(name: string, width?: number) {
  const dim = [{ dimParam: BATCH_DIMENSION }, ...(width === undefined ? [] : [{ dimValue: width }])];
  return { name, type: { tensorType: { elemType: onnx.TensorProto.DataType.FLOAT, shape: { dim } } } };
}

/** The input weights as MatMul wants them: from unit by unit to `[width, hidden]`. */
function inputWeights(network: Network): Float32Array {
  const { width, hidden, parameters } = network;
  return Float32Array.from({ length: width * hidden }, (_, position) => {
    const column = Math.floor(position / hidden);
    return parameters[(position % hidden) * width + column] ?? 0;
  });
}

/** How the graph's answer is given: the network's, 0 to 1, times a factor, under a name. */
export interface ScaledOutput {
  readonly name: string;
  readonly factor: number;
}

function initializers(network: Network, output: ScaledOutput | undefined) {
  const { width, hidden, parameters } = network;
  const layout = parameterLayout(width, hidden);
  const lastAxis = { name: 'last_axis', dims: [1], dataType: onnx.TensorProto.DataType.INT64 };
  return [
    floatTensor('mean', [width], network.mean),
    floatTensor('scale', [width], network.scale),
    floatTensor('hidden_weight', [width, hidden], inputWeights(network)),
    floatTensor('hidden_bias', [hidden], parameters.subarray(layout.hiddenBias, layout.output)),
    floatTensor('output_weight', [hidden, 1], parameters.subarray(layout.output, layout.outputBias)),
    floatTensor('output_bias', [1], parameters.subarray(layout.outputBias)),
    { ...lastAxis, rawData: Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0) },
    ...(output === undefined ? [] : [floatTensor('output_factor', [1], [output.factor])]),
  ];
}

/**
 * Serialises the network: standardisation, one ReLU layer, a logistic unit, with the batch as a named dynamic
 * dimension.
 *
 * @param metadata what `metadata_props` says about the model's origin; written in the order of its keys.
 * @param output of a regression: its targets were divided by the factor for training, so the graph multiplies by it.
 * @returns the bytes of a ModelProto; the same network and metadata give the same bytes.
 */
export function writeOnnx(
  network: Network,
  metadata: Readonly<Record<string, string>>,
  output?: ScaledOutput,
): Uint8Array {
  const node = (opType: string, input: string[], output: string) => ({
    opType,
    name: output,
    input,
    output: [output],
  });
  const model = onnx.ModelProto.create({
    irVersion: IR_VERSION,
    producerName: 'millrace',
    opsetImport: [{ domain: '', version: OPSET }],
    graph: {
      name: 'network',
      node: [
        node('Sub', [MODEL_INPUT, 'mean'], 'centred'),
        node('Mul', ['centred', 'scale'], 'standardised'),
        node('MatMul', ['standardised', 'hidden_weight'], 'hidden_sum'),
        node('Add', ['hidden_sum', 'hidden_bias'], 'hidden_logit'),
        node('Relu', ['hidden_logit'], 'hidden'),
        node('MatMul', ['hidden', 'output_weight'], 'output_sum'),
        node('Add', ['output_sum', 'output_bias'], 'logit'),
        node('Sigmoid', ['logit'], 'probability'),
        node('Squeeze', ['probability', 'last_axis'], MODEL_OUTPUT),
        ...(output === undefined ? [] : [node('Mul', [MODEL_OUTPUT, 'output_factor'], output.name)]),
      ],
      initializer: initializers(network, output),
      input: [valueInfo(MODEL_INPUT, network.width)],
      output: [valueInfo(output?.name ?? MODEL_OUTPUT)],
    },
    metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })),
  });
  return Uint8Array.from(onnx.ModelProto.encode(model).finish());
}
