import { type Datatype, isFloat } from '../define/datatype.ts';

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
  | Float16Array
  | Float32Array
  | Float64Array
  | readonly string[];

/** The array of each type's elements; undefined for texts. */
export const ARRAYS = {
  BOOL: Uint8Array,
  INT8: Int8Array,
  INT16: Int16Array,
  INT32: Int32Array,
  INT64: BigInt64Array,
  UINT8: Uint8Array,
  UINT16: Uint16Array,
  UINT32: Uint32Array,
  UINT64: BigUint64Array,
  FP16: Float16Array,
  FP32: Float32Array,
  FP64: Float64Array,
  BYTES: undefined,
} as const satisfies Record<Datatype, unknown>;

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

/** The most elements that all tensors of a request have together in JSON, and those of an answer: 2 MB of float64. */
export const JSON_ELEMENTS_MAX = 262_144;
/**
 * The most bytes that all outputs of a run have together. A graph may return much more than it is sent, and the copy
 * stands beside the runtime's own in the isolate's memory.
 */
export const OUTPUT_BYTES_MAX = 8 * 1024 * 1024;
/** The most dimensions of a tensor. */
export const RANK_MAX = 8;
/** The most tensors of a request. */
export const TENSORS_MAX = 64;

export function isTexts(data: TensorData): data is readonly string[] {
  return Array.isArray(data);
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

/** The position of the first element that is NaN or infinite; -1 if all are finite. */
export function nonFiniteAt({ datatype, data }: Tensor): number {
  if (!isFloat(datatype)) return -1;
  return data.findIndex(
    (element: number | bigint | string) => typeof element === 'number' && !Number.isFinite(element),
  );
}
