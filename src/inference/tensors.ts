import * as z from 'zod';
import { DATATYPES, type Datatype, integerRange } from '../define/datatype.ts';
import { Failure, jsonPointer } from '../platform/failure.ts';

/** The elements of a tensor, row-major. `BOOL` has 0 and 1. */
export type TensorData =
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array
  | Float32Array
  | Float64Array
  | readonly string[];

export interface Tensor {
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

export interface TensorSignature {
  readonly name: string;
  readonly datatype: Datatype;
  /** A dimension of -1 is free. */
  readonly shape: readonly number[];
}

export type Tensors = Readonly<Record<string, Tensor>>;

/** The most elements of all tensors of a request together: 2 MB of float64. */
const ELEMENTS_MAX = 262_144;
const DIMENSION_MAX = 65_536;
const TENSORS_MAX = 64;

/**
 * An element in JSON. A 64-bit integer beyond 2^53 − 1 is a decimal string, because a JSON number would lose digits. A
 * float that JSON cannot represent is `"NaN"`, `"Infinity"` or `"-Infinity"`.
 */
export type JsonElement = number | boolean | string;

const JsonTensor = z.object({
  name: z.string().max(256),
  datatype: z.enum(DATATYPES),
  shape: z.array(z.int().min(0).max(DIMENSION_MAX)).max(8),
  data: z.array(z.union([z.number(), z.boolean(), z.string()])).max(ELEMENTS_MAX),
});

/** The protocol allows elements in row-major order, flat or nested in the form of the shape. */
const SentTensor = JsonTensor.extend({
  data: z
    .array(z.unknown())
    .max(ELEMENTS_MAX)
    .meta({ description: 'flat, or nested in the form of the shape' }),
});
type SentTensor = z.output<typeof SentTensor>;

/** A request with raw tensors, in the form of the Open Inference Protocol, version 2. */
export const TensorRequest = z.object({ inputs: z.array(SentTensor).min(1).max(TENSORS_MAX) });

/** The answer to a tensor request. */
export const TensorAnswer = z.object({ outputs: z.array(JsonTensor) });

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
  const { inputs } = parsed.data;
  const names = signatures.map(({ name }) => name);
  const tensors: Record<string, Tensor> = {};
  for (const [index, sent] of inputs.entries()) {
    const pointer = `/inputs/${index}`;
    const signature = signatures.find(({ name }) => name === sent.name);
    if (signature === undefined)
      throw mismatch(`The model has no input "${sent.name}"; it has ${names.join(', ')}.`, `${pointer}/name`);
    if (Object.hasOwn(tensors, sent.name))
      throw mismatch(`The input "${sent.name}" occurs twice.`, `${pointer}/name`);
    tensors[sent.name] = checkedTensor(sent, signature, pointer);
  }
  const missing = names.find((name) => !Object.hasOwn(tensors, name));
  if (missing !== undefined) throw mismatch(`The input "${missing}" is missing.`, '/inputs');
  const elements = Object.values(tensors).reduce((total, { data }) => total + data.length, 0);
  if (elements > ELEMENTS_MAX)
    throw mismatch(`The inputs have ${elements} values; at most ${ELEMENTS_MAX} are allowed.`, '/inputs');
  return tensors;
}

function checkedTensor(sent: SentTensor, signature: TensorSignature, pointer: string): Tensor {
  const { datatype, shape } = signature;
  if (sent.datatype !== datatype)
    throw mismatch(`The input "${sent.name}" is ${datatype}, not ${sent.datatype}.`, `${pointer}/datatype`);
  if (!shapeFits(sent.shape, shape))
    throw mismatch(`The model needs the shape [${shape}], not [${sent.shape}].`, `${pointer}/shape`);
  const elements = sizeOf(sent.shape);
  if (elements > ELEMENTS_MAX)
    throw mismatch(
      `The shape has ${elements} values; at most ${ELEMENTS_MAX} are allowed.`,
      `${pointer}/shape`,
    );
  const isNested = sent.data.some(Array.isArray);
  const data = isNested ? flattened(sent.data, sent.shape) : sent.data;
  if (data === undefined)
    throw mismatch(`The nested data do not have the shape [${sent.shape}].`, `${pointer}/data`);
  if (elements !== data.length || elements === 0)
    throw mismatch(
      `The shape needs ${elements} values (at least 1); data has ${data.length}.`,
      `${pointer}/data`,
    );
  const read = fromJson(datatype, data);
  if (read.ok) return { datatype, shape: sent.shape, data: read.data };
  const position = isNested ? indicesOf(read.wrong, sent.shape) : [read.wrong];
  throw mismatch(
    `${JSON.stringify(data[read.wrong])} is not a value of ${datatype}.`,
    `${pointer}/data${jsonPointer(position)}`,
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

function mismatch(detail: string, pointer: string): Failure {
  return new Failure('tensor_mismatch', detail, { pointer });
}

/** Whether a signature's shape allows a shape. */
export function shapeFits(shape: readonly number[], signature: readonly number[]): boolean {
  return (
    shape.length === signature.length &&
    shape.every((dimension, index) => signature[index] === -1 || signature[index] === dimension)
  );
}

/** The number of elements of a shape; 1 for a scalar. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((size, dimension) => size * dimension, 1);
}

type Elements =
  | { readonly ok: true; readonly data: TensorData }
  | { readonly ok: false; readonly wrong: number };

/** Converts JSON elements to the type, or returns the index of the first element that the type cannot hold. */
export function fromJson(datatype: Datatype, values: readonly unknown[]): Elements {
  const elements: (number | bigint | string)[] = [];
  for (const [index, value] of values.entries()) {
    const element = elementOf(datatype, value);
    if (element === undefined) return { ok: false, wrong: index };
    elements.push(element);
  }
  return { ok: true, data: arrayOf(datatype, elements) };
}

function elementOf(datatype: Datatype, value: unknown): number | bigint | string | undefined {
  switch (datatype) {
    case 'BYTES':
      return typeof value === 'string' && value.isWellFormed() ? value : undefined;
    case 'BOOL':
      return typeof value === 'boolean' ? Number(value) : undefined;
    case 'FP32':
    case 'FP64':
      return floatOf(datatype, value);
    default:
      return integerOf(datatype, value);
  }
}

function floatOf(datatype: 'FP32' | 'FP64', value: unknown): number | undefined {
  if (typeof value === 'string') {
    return ['NaN', 'Infinity', '-Infinity'].includes(value) ? Number(value) : undefined;
  }
  if (typeof value !== 'number') return undefined;
  // Beyond the range of float32 a finite number would become infinite.
  const isLost = datatype === 'FP32' && Number.isFinite(value) && !Number.isFinite(Math.fround(value));
  return isLost ? undefined : value;
}

function integerOf(datatype: Datatype, value: unknown): number | bigint | undefined {
  const [min, max] = integerRange(datatype) ?? [1n, 0n];
  const isWhole =
    (typeof value === 'number' && Number.isSafeInteger(value)) ||
    (typeof value === 'string' && max > Number.MAX_SAFE_INTEGER && /^-?\d{1,20}$/.test(value));
  if (!isWhole) return undefined;
  const whole = BigInt(value);
  if (whole < min || whole > max) return undefined;
  return max > Number.MAX_SAFE_INTEGER ? whole : Number(whole);
}

/** The array class of each type; 64-bit integers need bigints. */
function arrayOf(datatype: Datatype, elements: readonly (number | bigint | string)[]): TensorData {
  const numbers = () => elements.map(Number);
  switch (datatype) {
    case 'BYTES':
      return elements.map(String);
    case 'INT64':
      return BigInt64Array.from(elements, BigInt);
    case 'UINT64':
      return BigUint64Array.from(elements, BigInt);
    case 'FP32':
      return Float32Array.from(numbers());
    case 'FP64':
      return Float64Array.from(numbers());
    case 'INT8':
      return Int8Array.from(numbers());
    case 'INT16':
      return Int16Array.from(numbers());
    case 'INT32':
      return Int32Array.from(numbers());
    case 'BOOL':
    case 'UINT8':
      return Uint8Array.from(numbers());
    case 'UINT16':
      return Uint16Array.from(numbers());
    case 'UINT32':
      return Uint32Array.from(numbers());
  }
}

/** The position of the first element that is NaN or infinite; -1 if all are finite. */
export function nonFiniteAt({ data }: Tensor): number {
  return data.findIndex(
    (element: number | bigint | string) => typeof element === 'number' && !Number.isFinite(element),
  );
}

/** A tensor's elements for JSON. */
export function toJson({ datatype, data }: Tensor): JsonElement[] {
  return Array.from(data, (element: number | bigint | string) => {
    if (typeof element === 'bigint') {
      const number = Number(element);
      return Number.isSafeInteger(number) ? number : String(element);
    }
    if (typeof element === 'string') return element;
    if (datatype === 'BOOL') return element !== 0;
    return Number.isFinite(element) ? element : String(element);
  });
}
