import type { Datatype } from '../../define/datatype.ts';
import { ARRAYS, sizeOf, type Tensor, type TensorData } from '../tensors.ts';
import { NotEvaluated } from './not-evaluated.ts';

/** Arrays of the float types that the evaluator computes with. An element is rounded when it is stored. */
export type Floats = Float32Array | Float64Array;

/** @throws NotEvaluated if an input is missing. */
export function given(tensor: Tensor | undefined): Tensor {
  if (tensor === undefined) throw new NotEvaluated('an input is missing');
  return tensor;
}

/** @throws NotEvaluated for elements of other types. */
export function floatsIn(tensor: Tensor | undefined): Floats {
  const { data, datatype } = given(tensor);
  if (data instanceof Float32Array || data instanceof Float64Array) return data;
  throw new NotEvaluated(`elements of the type ${datatype}`);
}

/** @throws NotEvaluated for elements that are not FP32: the runtime computes some operators in doubles. */
export function singlesIn(tensor: Tensor | undefined): Float32Array {
  const { data, datatype } = given(tensor);
  if (data instanceof Float32Array) return data;
  throw new NotEvaluated(`elements of the type ${datatype}`);
}

/** Whole numbers of a tensor of positions or dimensions. @throws NotEvaluated for elements of other types. */
export function positionsIn(tensor: Tensor | undefined): number[] {
  const { data, datatype } = given(tensor);
  if (data instanceof BigInt64Array || data instanceof Int32Array) return Array.from(data, Number);
  throw new NotEvaluated(`positions of the type ${datatype}`);
}

/** An array of the same type. */
export function emptyLike<Data extends Floats>(data: Data, length: number): Data {
  // The type has two members, each with this constructor.
  return (data instanceof Float32Array ? new Float32Array(length) : new Float64Array(length)) as Data;
}

/** An array of the datatype's elements. The elements are of the datatype's kind. */
export function dataOf(datatype: Datatype, elements: readonly (number | bigint | string)[]): TensorData {
  const ArrayOf = ARRAYS[datatype];
  if (ArrayOf === undefined) return elements.map(String);
  return Reflect.construct(ArrayOf, [elements]) as TensorData;
}

/** The elements at these positions, in their order. */
export function picked({ data, datatype }: Tensor, positions: Int32Array): TensorData {
  return dataOf(
    datatype,
    Array.from(positions, (at) => data[at] ?? 0),
  );
}

/** An axis that may count from the end. @throws NotEvaluated if the tensor has no such axis. */
export function axisIn(axis: number, rank: number): number {
  const found = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(found) || found < 0 || found >= Math.max(1, rank))
    throw new NotEvaluated(`axis ${axis} of ${rank}`);
  return found;
}

/** Rows and columns of a matrix; a vector is one row. @throws NotEvaluated for other ranks. */
export function matrixOf({ shape }: Tensor): readonly [rows: number, columns: number] {
  const [first = 1, second] = shape;
  if (shape.length === 2) return [first, second ?? 1];
  if (shape.length === 1) return [1, first];
  throw new NotEvaluated(`a tensor with ${shape.length} dimensions instead of a matrix`);
}

/** The elements before and after an axis: `[outer, length, inner]`. */
export function aroundAxis(shape: readonly number[], axis: number): readonly [number, number, number] {
  return [sizeOf(shape.slice(0, axis)), shape[axis] ?? 1, sizeOf(shape.slice(axis + 1))];
}

export function floatTensor(data: Floats, shape: readonly number[]): Tensor {
  return { datatype: data instanceof Float32Array ? 'FP32' : 'FP64', shape, data };
}
