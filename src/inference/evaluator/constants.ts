import type { Datatype } from '../../define/datatype.ts';
import { decodeUtf8 } from '../../platform/utf8.ts';
import type { TensorFile } from '../onnx-file/model-file.ts';
import { eachField, integersAt } from '../onnx-file/protobuf.ts';
import { sizeOf, type Tensor, type TensorData } from '../tensors.ts';
import { NotEvaluated } from './not-evaluated.ts';

/** ONNX's numbers of the element types that the evaluator computes with. */
export const EVALUATED_TYPES: ReadonlyMap<number, Datatype> = new Map([
  [1, 'FP32'],
  [11, 'FP64'],
  [6, 'INT32'],
  [7, 'INT64'],
  [8, 'BYTES'],
  [9, 'BOOL'],
]);

/** Fields of `TensorProto`. */
const DIMENSIONS = 1;
const RAW = 9;
const TEXTS = 6;

/** The constant of a file: weights, positions, texts. @throws NotEvaluated, MalformedMessage */
export function constantTensor({ type, isExternal, bytes }: TensorFile): Tensor {
  const datatype = EVALUATED_TYPES.get(type);
  if (datatype === undefined || isExternal) throw new NotEvaluated(`a constant of the element type ${type}`);
  const shape: number[] = [];
  const numbers: (number | bigint)[] = [];
  const texts: string[] = [];
  let raw: Uint8Array | undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  eachField(bytes, (number, start, end) => {
    if (number === DIMENSIONS) integersAt(bytes, start, end, (value) => shape.push(value));
    else if (number === RAW) raw = bytes.subarray(start, end);
    else if (number === TEXTS) texts.push(decodeUtf8(bytes.subarray(start, end)));
    else if (number === 4) for (let at = start; at < end; at += 4) numbers.push(view.getFloat32(at, true));
    else if (number === 10) for (let at = start; at < end; at += 8) numbers.push(view.getFloat64(at, true));
    else if (number === 5 || number === 7) integersAt(bytes, start, end, (value) => numbers.push(value));
  });
  const data = raw === undefined ? listed(datatype, numbers, texts) : copied(datatype, raw);
  if (data.length !== sizeOf(shape)) throw new NotEvaluated('a constant whose elements are not all there');
  return { datatype, shape, data };
}

function listed(
  datatype: Datatype,
  numbers: readonly (number | bigint)[],
  texts: readonly string[],
): TensorData {
  switch (datatype) {
    case 'FP32':
      return Float32Array.from(numbers, Number);
    case 'FP64':
      return Float64Array.from(numbers, Number);
    case 'INT32':
      return Int32Array.from(numbers, Number);
    case 'INT64':
      return BigInt64Array.from(numbers, BigInt);
    case 'BOOL':
      return Uint8Array.from(numbers, Number);
    default:
      return texts;
  }
}

/** The bytes of a file are little-endian, as those of the machine are. */
function copied(datatype: Datatype, raw: Uint8Array): TensorData {
  const { buffer } = Uint8Array.from(raw);
  switch (datatype) {
    case 'FP32':
      return new Float32Array(buffer);
    case 'FP64':
      return new Float64Array(buffer);
    case 'INT32':
      return new Int32Array(buffer);
    case 'INT64':
      return new BigInt64Array(buffer);
    case 'BOOL':
      return new Uint8Array(buffer);
    default:
      throw new NotEvaluated('a constant of texts as raw bytes');
  }
}
