import type { Datatype } from '../../define/datatype.ts';
import { assertJsonElements, mismatch } from '../tensor-request.ts';
import { nonFiniteAt, type Tensor, type TensorSignature, type Tensors } from '../tensors.ts';
import { toBinary } from './binary.ts';
import type { WantedOutput } from './request.ts';

/** What the members of an answer before its outputs are. */
export interface Answering {
  readonly model: string;
  readonly version: string;
  /** The id of the request. */
  readonly id: string | undefined;
  readonly parameters: Readonly<Record<string, string>>;
}

/** The body of an answer. */
export interface InferAnswer {
  /** JSON, and after it the binary data of the outputs that have `binary_data_size`. */
  readonly body: Uint8Array<ArrayBuffer>;
  /** The length of the JSON in bytes; undefined if there are no binary outputs. */
  readonly jsonBytes: number | undefined;
}

/**
 * Writes the answer of an inference (Open Inference Protocol v2, REST). Integers are JSON numbers with all of their
 * digits.
 *
 * @throws Failure `tensor_mismatch` if JSON cannot hold an output: it has a value that is not finite, or too many.
 */
export function writeAnswer(
  { model, version, id, parameters }: Answering,
  wanted: readonly WantedOutput[],
  outputs: Tensors,
): InferAnswer {
  const found = wanted.flatMap(({ name, isBinary }) => {
    const tensor = outputs[name];
    return tensor === undefined ? [] : [{ name, isBinary, tensor }];
  });
  const inJson = found.filter(({ isBinary }) => !isBinary);
  assertJsonElements(
    inJson.map(({ tensor }) => tensor),
    'outputs',
    'Ask for them as binary data.',
  );
  for (const { name, tensor } of inJson) assertFinite(name, tensor);
  const binary: Uint8Array[] = [];
  const texts = found.map(({ name, isBinary, tensor }) => {
    const head = JSON.stringify({ name, datatype: tensor.datatype, shape: tensor.shape }).slice(0, -1);
    if (!isBinary) return `${head},"data":[${elementTexts(tensor).join(',')}]}`;
    const bytes = toBinary(tensor.data);
    binary.push(bytes);
    return `${head},"parameters":{"binary_data_size":${bytes.length}}}`;
  });
  const members = JSON.stringify({
    model_name: model,
    model_version: version,
    ...(id === undefined ? {} : { id }),
    parameters,
  }).slice(0, -1);
  const json = new TextEncoder().encode(`${members},"outputs":[${texts.join(',')}]}`);
  if (binary.length === 0) return { body: Uint8Array.from(json), jsonBytes: undefined };
  const body = new Uint8Array(json.length + binary.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const part of [json, ...binary]) {
    body.set(part, offset);
    offset += part.length;
  }
  return { body, jsonBytes: json.length };
}

function assertFinite(name: string, tensor: Tensor): void {
  const wrong = nonFiniteAt(tensor);
  if (wrong < 0) return;
  throw mismatch(
    `For these inputs the output "${name}" is ${String(tensor.data[wrong])} at position ${wrong}, and JSON has finite numbers only. Ask for the output as binary data.`,
    '/inputs',
  );
}

function elementTexts({ datatype, data }: Tensor): string[] {
  return Array.from(data, (element: number | bigint | string) => {
    if (typeof element === 'string') return JSON.stringify(element);
    return datatype === 'BOOL' ? String(element !== 0) : numberText(element);
  });
}

/** `-0` keeps its sign, which `String` drops. */
function numberText(element: number | bigint): string {
  return Object.is(element, -0) ? '-0.0' : String(element);
}

interface Described {
  readonly version: string;
  readonly inputs: readonly TensorSignature[];
  readonly outputs: readonly TensorSignature[];
}

interface TensorMetadata {
  readonly name: string;
  readonly datatype: Datatype;
  /** -1 is a free dimension. */
  readonly shape: readonly number[];
}

/** The metadata of a model. */
export function metadataOf(name: string, { version, inputs, outputs }: Described) {
  const tensors = (signatures: readonly TensorSignature[]): TensorMetadata[] =>
    signatures.map((of) => ({ name: of.name, datatype: of.datatype, shape: of.shape }));
  return {
    name,
    versions: [version],
    platform: 'onnx_onnxv1',
    inputs: tensors(inputs),
    outputs: tensors(outputs),
  };
}
