import * as z from 'zod';
import { DATATYPES } from '../define/datatype.ts';
import { Failure, jsonPointer } from '../platform/failure.ts';
import { fromJson } from './json-elements.ts';
import {
  JSON_ELEMENTS_MAX,
  RANK_MAX,
  shapeFits,
  sizeOf,
  TENSORS_MAX,
  type Tensor,
  type TensorData,
  type TensorSignature,
  type Tensors,
} from './tensors.ts';

const JsonTensor = z.object({
  name: z.string().max(256),
  datatype: z.enum(DATATYPES),
  shape: z.array(z.int().min(0)).max(RANK_MAX),
  data: z.array(z.union([z.number(), z.boolean(), z.string()])).max(JSON_ELEMENTS_MAX),
});

/** The protocol allows elements in row-major order, flat or nested in the form of the shape. */
const SentTensor = JsonTensor.extend({
  data: z
    .array(z.unknown())
    .max(JSON_ELEMENTS_MAX)
    .meta({ description: 'flat, or nested in the form of the shape' }),
});

/** A request with raw tensors, in the form of the Open Inference Protocol, version 2. */
export const TensorRequest = z.object({ inputs: z.array(SentTensor).min(1).max(TENSORS_MAX) });

/** The answer to a tensor request. */
export const TensorAnswer = z.object({ outputs: z.array(JsonTensor) });

/** As much of a sent tensor as its signature decides. */
interface Sent {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
}

/**
 * Converts the inputs of a request to tensors and checks them against the graph's inputs.
 *
 * @throws Failure `tensor_mismatch` with a pointer to what does not fit.
 */
export function inputTensors(body: unknown, signatures: readonly TensorSignature[]): Tensors {
  const parsed = TensorRequest.safeParse(body);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw mismatch(issue?.message ?? 'Not tensors.', jsonPointer(issue?.path ?? []));
  }
  const tensors = checkedTensors(parsed.data.inputs, signatures, (sent, signature, pointer) =>
    jsonTensor(sent, signature, pointer),
  );
  assertJsonElements(Object.values(tensors), 'inputs', 'Send fewer rows.');
  return tensors;
}

/**
 * Checks names, types and shapes of sent tensors, each against the graph's input of its name.
 *
 * @param read converts a tensor whose type and shape fit.
 * @throws Failure `tensor_mismatch` with a pointer to what does not fit.
 */
export function checkedTensors<T extends Sent>(
  inputs: readonly T[],
  signatures: readonly TensorSignature[],
  read: (sent: T, signature: TensorSignature, pointer: string) => Tensor,
): Tensors {
  const names = signatures.map(({ name }) => name);
  const tensors = new Map<string, Tensor>();
  for (const [index, sent] of inputs.entries()) {
    const pointer = `/inputs/${index}`;
    const signature = signatures.find(({ name }) => name === sent.name);
    if (signature === undefined)
      throw mismatch(`The model has no input "${sent.name}"; it has ${names.join(', ')}.`, `${pointer}/name`);
    if (tensors.has(sent.name)) throw mismatch(`The input "${sent.name}" occurs twice.`, `${pointer}/name`);
    const { datatype, shape } = signature;
    if (sent.datatype !== datatype)
      throw mismatch(`The input "${sent.name}" is ${datatype}, not ${sent.datatype}.`, `${pointer}/datatype`);
    if (!shapeFits(sent.shape, shape))
      throw mismatch(`The model needs the shape [${shape}], not [${sent.shape}].`, `${pointer}/shape`);
    tensors.set(sent.name, read(sent, signature, pointer));
  }
  const missing = names.find((name) => !tensors.has(name));
  if (missing !== undefined) throw mismatch(`The input "${missing}" is missing.`, '/inputs');
  return Object.fromEntries(tensors);
}

/**
 * @param isExact as `fromJson` takes it.
 * @throws Failure `tensor_mismatch`
 */
export function jsonTensor(
  { shape, data: sent }: { readonly shape: readonly number[]; readonly data: readonly unknown[] },
  { datatype }: TensorSignature,
  pointer: string,
  isExact?: (integer: number) => boolean,
): Tensor {
  const elements = sizeOf(shape);
  if (elements > JSON_ELEMENTS_MAX)
    throw mismatch(
      `The shape has ${elements} values; at most ${JSON_ELEMENTS_MAX} are allowed in JSON.`,
      `${pointer}/shape`,
    );
  const isNested = sent.some(Array.isArray);
  const flat = isNested ? flattened(sent, shape) : sent;
  if (flat === undefined)
    throw mismatch(`The nested data do not have the shape [${shape}].`, `${pointer}/data`);
  if (elements !== flat.length)
    throw mismatch(`The shape needs ${elements} values; data has ${flat.length}.`, `${pointer}/data`);
  const read = fromJson(datatype, flat, isExact);
  if (read.ok) return { datatype, shape, data: read.data };
  const position = isNested ? indicesOf(read.wrong, shape) : [read.wrong];
  throw mismatch(
    `${JSON.stringify(flat[read.wrong])} is not a value of ${datatype}.`,
    `${pointer}/data${jsonPointer(position)}`,
  );
}

/** @throws Failure `tensor_mismatch` if JSON has more elements than a request or an answer may have. */
export function assertJsonElements(
  tensors: Iterable<{ readonly data: TensorData }>,
  what: string,
  remedy: string,
) {
  let elements = 0;
  for (const { data } of tensors) elements += data.length;
  if (elements > JSON_ELEMENTS_MAX)
    throw mismatch(
      `The ${what} have ${elements} values in JSON; at most ${JSON_ELEMENTS_MAX} are allowed. ${remedy}`,
      `/${what}`,
    );
}

/** Nested elements in row-major order, or undefined if they do not have the shape. */
function flattened(data: readonly unknown[], [rows = 0, ...rest]: readonly number[]): unknown[] | undefined {
  if (data.length !== rows) return undefined;
  if (rest.length === 0) return data.some(Array.isArray) ? undefined : [...data];
  const flat: unknown[] = [];
  for (const row of data) {
    const own = Array.isArray(row) ? flattened(row, rest) : undefined;
    if (own === undefined) return undefined;
    for (const element of own) flat.push(element);
  }
  return flat;
}

/** The indices of an element by its position in row-major order. */
function indicesOf(position: number, shape: readonly number[]): number[] {
  const indices: number[] = [];
  let rest = position;
  for (const dimension of shape.toReversed()) {
    indices.unshift(rest % dimension);
    rest = Math.floor(rest / dimension);
  }
  return indices;
}

export function mismatch(detail: string, pointer: string): Failure {
  return new Failure('tensor_mismatch', detail, { pointer });
}
