/** Builds ONNX files (opset 17 and ai.onnx.ml 3): the same parts give the same bytes. */
import onnxProto, { type onnx as Onnx } from 'onnx-proto';

const { onnx } = onnxProto;
const { DataType } = onnx.TensorProto;
const { AttributeType } = onnx.AttributeProto;

/** The name of the dynamic dimension: runtimes report unnamed ones in different ways. */
export const BATCH_DIMENSION = 'batch';
const OPSET = 17;
const ML_OPSET = 3;
/** The format version that came with opset 17. */
const IR_VERSION = 8;

/** A named value of a graph. A text is a free dimension. */
export interface Value {
  readonly name: string;
  readonly type?: 'FLOAT' | 'DOUBLE' | 'INT64';
  readonly shape: readonly (number | string)[];
}

/** A list of integers has to be said, because JavaScript has one type of number. */
type Attribute =
  | { readonly int: number }
  | { readonly float: number }
  | { readonly ints: readonly number[] }
  | { readonly floats: readonly number[] }
  | { readonly text: string }
  | { readonly texts: readonly string[] };

export interface NodeParts {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly domain?: 'ai.onnx.ml';
  readonly attributes?: Readonly<Record<string, Attribute>>;
}

export interface FileParts {
  readonly graph: string;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly nodes: readonly NodeParts[];
  readonly constants: readonly Onnx.ITensorProto[];
  /** Written as `metadata_props`, in the order of its keys. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** The bytes of a ModelProto. */
export function onnxFile({
  graph,
  inputs,
  outputs,
  nodes,
  constants,
  metadata,
}: FileParts): Uint8Array<ArrayBuffer> {
  const usesMl = nodes.some(({ domain }) => domain === 'ai.onnx.ml');
  const model = onnx.ModelProto.create({
    irVersion: IR_VERSION,
    producerName: 'millrace',
    opsetImport: [
      { domain: '', version: OPSET },
      ...(usesMl ? [{ domain: 'ai.onnx.ml', version: ML_OPSET }] : []),
    ],
    graph: {
      name: graph,
      node: nodes.map(nodeOf),
      initializer: [...constants],
      input: inputs.map(valueInfo),
      output: outputs.map(valueInfo),
    },
    metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })),
  });
  return Uint8Array.from(onnx.ModelProto.encode(model, writer()).finish());
}

/**
 * A writer of protobuf that encodes texts itself. Where there is a `Buffer`, the library writes texts of 40 characters and more
 * by `Buffer.utf8Write` without a length, which workerd refuses for a text that does not begin the buffer.
 */
function writer() {
  // An empty message leaves the writer that the library chose empty.
  const made = onnx.StringStringEntryProto.encode({});
  made.string = (text) => made.bytes(new TextEncoder().encode(text));
  return made;
}

/** A constant of float32 values. */
export function floatTensor(name: string, dims: number[], values: ArrayLike<number>): Onnx.ITensorProto {
  const view = new DataView(new ArrayBuffer(values.length * 4));
  for (let at = 0; at < values.length; at += 1) view.setFloat32(at * 4, values[at] ?? 0, true);
  return { name, dims, dataType: DataType.FLOAT, rawData: new Uint8Array(view.buffer) };
}

/** A constant of one dimension of integers, such as axes. */
export function integerTensor(name: string, values: readonly number[]): Onnx.ITensorProto {
  const view = new DataView(new ArrayBuffer(values.length * 8));
  for (const [at, value] of values.entries()) view.setBigInt64(at * 8, BigInt(value), true);
  return { name, dims: [values.length], dataType: DataType.INT64, rawData: new Uint8Array(view.buffer) };
}

function valueInfo({ name, type = 'FLOAT', shape }: Value): Onnx.IValueInfoProto {
  const dim = shape.map((of) => (typeof of === 'string' ? { dimParam: of } : { dimValue: of }));
  return { name, type: { tensorType: { elemType: DataType[type], shape: { dim } } } };
}

function nodeOf({ op, inputs, outputs, domain = undefined, attributes = {} }: NodeParts): Onnx.INodeProto {
  const [name = ''] = outputs;
  return {
    opType: op,
    name,
    input: [...inputs],
    output: [...outputs],
    ...(domain === undefined ? {} : { domain }),
    attribute: Object.entries(attributes).map(([of, value]) => attributeOf(of, value)),
  };
}

function attributeOf(name: string, value: Attribute): Onnx.IAttributeProto {
  const utf8 = (text: string) => new TextEncoder().encode(text);
  if ('int' in value) return { name, type: AttributeType.INT, i: value.int };
  if ('float' in value) return { name, type: AttributeType.FLOAT, f: value.float };
  if ('ints' in value) return { name, type: AttributeType.INTS, ints: [...value.ints] };
  if ('floats' in value) return { name, type: AttributeType.FLOATS, floats: [...value.floats] };
  if ('text' in value) return { name, type: AttributeType.STRING, s: utf8(value.text) };
  return { name, type: AttributeType.STRINGS, strings: value.texts.map(utf8) };
}
