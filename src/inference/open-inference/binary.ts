import type { Datatype } from '../../define/datatype.ts';
import { Failure } from '../../platform/failure.ts';
import { decodeUtf8 } from '../../platform/utf8.ts';
import { isText } from '../json-elements.ts';
import { ARRAYS, isTexts, type TensorData } from '../tensors.ts';

/**
 * Elements as the binary tensor data extension of the Open Inference Protocol has them: row-major and little-endian, as
 * WASM has them too. A text is its length in bytes as a 32-bit number, followed by its UTF-8.
 */

const LENGTH_BYTES = 4;

/**
 * @param count the elements that the tensor's shape has.
 * @throws Failure `tensor_mismatch`
 */
export function fromBinary(
  datatype: Datatype,
  bytes: Uint8Array,
  count: number,
  pointer: string,
): TensorData {
  const ArrayOf = ARRAYS[datatype];
  if (ArrayOf === undefined) return textsOf(bytes, count, pointer);
  const wanted = count * ArrayOf.BYTES_PER_ELEMENT;
  if (bytes.length !== wanted)
    throw mismatch(`The shape needs ${wanted} bytes of ${datatype}; there are ${bytes.length}.`, pointer);
  if (datatype === 'BOOL' && bytes.some((byte) => byte > 1))
    throw mismatch('A BOOL is one byte, 0 or 1.', pointer);
  // A copy, which has the alignment that the array needs.
  return new ArrayOf(Uint8Array.from(bytes).buffer);
}

function textsOf(bytes: Uint8Array, count: number, pointer: string): string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const texts: string[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    const start = offset + LENGTH_BYTES;
    const end = start <= bytes.length ? start + view.getUint32(offset, true) : Number.POSITIVE_INFINITY;
    if (end > bytes.length) throw mismatch(`The text ${texts.length} is truncated.`, pointer);
    texts.push(textOf(bytes.subarray(start, end), texts.length, pointer));
    offset = end;
  }
  if (texts.length !== count)
    throw mismatch(`The shape needs ${count} texts; there are ${texts.length}.`, pointer);
  return texts;
}

function textOf(bytes: Uint8Array, index: number, pointer: string): string {
  const refused = () => mismatch(`The text ${index} is not UTF-8 without NUL.`, pointer);
  let text: string;
  try {
    text = decodeUtf8(bytes);
  } catch {
    throw refused();
  }
  if (!isText(text)) throw refused();
  return text;
}

export function toBinary(data: TensorData): Uint8Array {
  if (!isTexts(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const texts = data.map((text) => new TextEncoder().encode(text));
  const bytes = new Uint8Array(texts.reduce((sum, { length }) => sum + LENGTH_BYTES + length, 0));
  const view = new DataView(bytes.buffer);
  let offset = 0;
  for (const text of texts) {
    view.setUint32(offset, text.length, true);
    bytes.set(text, offset + LENGTH_BYTES);
    offset += LENGTH_BYTES + text.length;
  }
  return bytes;
}

function mismatch(detail: string, pointer: string): Failure {
  return new Failure('tensor_mismatch', detail, { pointer });
}
