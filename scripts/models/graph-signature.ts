import onnxProto, { type onnx as Onnx } from 'onnx-proto';
import type { Datatype } from '../../src/define/datatype.ts';
import type { TensorSignature } from '../../src/inference/tensors.ts';

const { onnx } = onnxProto;
const { DataType } = onnx.TensorProto;

/** ONNX's element types that the registry takes. */
const DATATYPES: ReadonlyMap<number, Datatype> = new Map([
  [DataType.BOOL, 'BOOL'],
  [DataType.INT8, 'INT8'],
  [DataType.INT16, 'INT16'],
  [DataType.INT32, 'INT32'],
  [DataType.INT64, 'INT64'],
  [DataType.UINT8, 'UINT8'],
  [DataType.UINT16, 'UINT16'],
  [DataType.UINT32, 'UINT32'],
  [DataType.UINT64, 'UINT64'],
  [DataType.FLOAT16, 'FP16'],
  [DataType.FLOAT, 'FP32'],
  [DataType.DOUBLE, 'FP64'],
  [DataType.STRING, 'BYTES'],
]);

/** What a graph takes and gives, as its file says. */
export interface GraphSignature {
  readonly inputs: readonly TensorSignature[];
  readonly outputs: readonly TensorSignature[];
  /** The file's `metadata_props`. */
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Reads the inputs and outputs of an ONNX file. Weights that older exporters list among the inputs are left out.
 *
 * @throws Error where it is no ONNX model, or an input or output is no tensor of a type that the registry takes.
 */
export function readGraphSignature(bytes: Uint8Array): GraphSignature {
  const model = decoded(bytes);
  const { graph } = model;
  if (!graph?.output?.length) throw new Error('The file is not an ONNX model: it has no graph with outputs.');
  const weights = new Set((graph.initializer ?? []).map(({ name }) => name));
  const inputs = (graph.input ?? []).filter(({ name }) => !weights.has(name));
  return {
    inputs: inputs.map((value) => signatureOf('input', value)),
    outputs: graph.output.map((value) => signatureOf('output', value)),
    metadata: Object.fromEntries(
      (model.metadataProps ?? []).map(({ key, value }) => [key ?? '', value ?? '']),
    ),
  };
}

function decoded(bytes: Uint8Array): Onnx.IModelProto {
  try {
    return onnx.ModelProto.decode(bytes);
  } catch (error) {
    throw new Error('The file is not an ONNX model.', { cause: error });
  }
}

function signatureOf(what: 'input' | 'output', { name, type }: Onnx.IValueInfoProto): TensorSignature {
  const tensor = type?.tensorType;
  if (!tensor)
    throw new Error(
      `The ${what} "${name}" is not a tensor. Export the model again so that it is one; for a classifier of skl2onnx, with options={'zipmap': False}.`,
    );
  const datatype = DATATYPES.get(tensor.elemType ?? DataType.UNDEFINED);
  if (datatype === undefined)
    throw new Error(
      `The ${what} "${name}" has the ONNX type ${DataType[tensor.elemType ?? 0]}; these are known: ${[...DATATYPES.values()].join(', ')}.`,
    );
  const shape = (tensor.shape?.dim ?? []).map(({ dimValue, dimParam }) => {
    const size = Number(dimValue ?? 0);
    return dimParam || size <= 0 ? -1 : size;
  });
  return { name: name ?? '', datatype, shape };
}
