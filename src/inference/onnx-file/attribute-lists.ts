import { decodeUtf8 } from '../../platform/utf8.ts';
import type { AttributeFile } from './model-file.ts';
import { eachField, integersAt, MalformedMessage } from './protobuf.ts';

/** Fields of `AttributeProto`. */
const FLOAT = 2;
const FLOATS = 7;
const INTEGERS = 8;
const TEXTS = 9;
const FLOAT_BYTES = 4;

/** The float of an attribute; undefined if it has none. @throws MalformedMessage */
export function floatOf({ bytes }: AttributeFile): number | undefined {
  let found: number | undefined;
  eachField(bytes, (number, start) => {
    if (number === FLOAT) found = viewOf(bytes).getFloat32(start, true);
  });
  return found;
}

/** @throws MalformedMessage */
export function floatsOf({ bytes }: AttributeFile): Float32Array {
  const view = viewOf(bytes);
  const floats: number[] = [];
  eachField(bytes, (number, start, end) => {
    if (number !== FLOATS) return;
    if ((end - start) % FLOAT_BYTES !== 0) throw new MalformedMessage('A list of floats is truncated.');
    for (let at = start; at < end; at += FLOAT_BYTES) floats.push(view.getFloat32(at, true));
  });
  return Float32Array.from(floats);
}

/** Integers beyond 2⁵³ are rounded. @throws MalformedMessage */
export function integersOf({ bytes }: AttributeFile): number[] {
  const integers: number[] = [];
  eachField(bytes, (number, start, end) => {
    if (number === INTEGERS) integersAt(bytes, start, end, (value) => integers.push(value));
  });
  return integers;
}

/** Texts that follow each other are often equal, and are decoded once. @throws MalformedMessage; TypeError if one is not UTF-8 */
export function textsOf({ bytes }: AttributeFile): string[] {
  const texts: string[] = [];
  let last: Uint8Array = new Uint8Array();
  let text = '';
  eachField(bytes, (number, start, end) => {
    if (number !== TEXTS) return;
    const encoded = bytes.subarray(start, end);
    if (!isEqual(encoded, last)) {
      text = decodeUtf8(encoded);
      last = encoded;
    }
    texts.push(text);
  });
  return texts;
}

function isEqual(one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== other.length) return false;
  for (let index = 0; index < one.length; index += 1) if (one[index] !== other[index]) return false;
  return true;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
