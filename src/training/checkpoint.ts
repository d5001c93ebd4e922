/** A state of training as bytes: a header as JSON, and arrays of numbers. A training that is resumed gives the same model. */
import { decodeUtf8 } from '../platform/utf8.ts';
import { TrainingRefused } from './refusal.ts';

/** "MLT" and the version of the format. */
const MAGIC = 0x4d4c5401;
const ALIGNMENT = 8;

const ARRAYS = [Uint8Array, Int16Array, Float32Array, Float64Array] as const;
type Numbers = Uint8Array | Int16Array | Float32Array | Float64Array;

/** What a checkpoint holds. */
export interface Checkpoint {
  /** Anything that JSON can say. */
  readonly header: unknown;
  readonly arrays: Readonly<Record<string, Numbers>>;
}

/** @returns the bytes; the same contents in the same order give the same bytes. Numbers are little-endian. */
export function encodeCheckpoint({ header, arrays }: Checkpoint): Uint8Array<ArrayBuffer> {
  const entries = Object.entries(arrays);
  const layout = entries.map(([name, array]) => ({ name, type: typeOf(array), length: array.length }));
  const head = new TextEncoder().encode(JSON.stringify({ header, layout }));
  const starts: number[] = [];
  let end = aligned(8 + head.length);
  for (const [, array] of entries) {
    starts.push(end);
    end = aligned(end + array.byteLength);
  }
  const bytes = new Uint8Array(end);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC);
  view.setUint32(4, head.length);
  bytes.set(head, 8);
  for (const [at, [, array]] of entries.entries())
    bytes.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), starts[at]);
  return bytes;
}

/** @throws TrainingRefused `invalid_checkpoint` for bytes that are cut, or of another format. */
export function decodeCheckpoint(bytes: Uint8Array): Checkpoint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 8 || view.getUint32(0) !== MAGIC) throw invalid();
  const headEnd = 8 + view.getUint32(4);
  const { header, layout } = headOf(bytes.subarray(8, headEnd));
  const arrays: Record<string, Numbers> = {};
  let start = aligned(headEnd);
  for (const { name, type, length } of layout) {
    const ArrayOf = ARRAYS[type] ?? Uint8Array;
    const end = start + length * ArrayOf.BYTES_PER_ELEMENT;
    if (end > bytes.length) throw invalid();
    arrays[name] = new ArrayOf(Uint8Array.from(bytes.subarray(start, end)).buffer);
    start = aligned(end);
  }
  return { header, arrays };
}

interface Head {
  readonly header: unknown;
  readonly layout: readonly { readonly name: string; readonly type: number; readonly length: number }[];
}

function headOf(bytes: Uint8Array): Head {
  try {
    // What `encodeCheckpoint` wrote; the trainers validate their headers.
    return JSON.parse(decodeUtf8(bytes)) as Head;
  } catch {
    throw invalid();
  }
}

/** The array of a name. @throws TrainingRefused `invalid_checkpoint` if there is none of the kind and length. */
export function arrayIn<T extends Numbers>(
  { arrays }: Checkpoint,
  name: string,
  ArrayOf: { new (length: number): T },
  length?: number,
): T {
  const found = arrays[name];
  if (!(found instanceof ArrayOf) || (length !== undefined && found.length !== length)) throw invalid();
  return found;
}

/** The refusal of bytes that are no checkpoint of this training. */
export function invalid(detail = 'The bytes are not a checkpoint of a training.'): TrainingRefused {
  return new TrainingRefused('invalid_checkpoint', detail);
}

function typeOf(array: Numbers): number {
  return ARRAYS.findIndex((ArrayOf) => array instanceof ArrayOf);
}

function aligned(length: number): number {
  return Math.ceil(length / ALIGNMENT) * ALIGNMENT;
}

/** A 32-bit FNV-1a hash over the bytes of arrays: whether a training is resumed on the set that it was begun on. */
export function fingerprintOf(arrays: readonly (Numbers | undefined)[]): number {
  let hash = 0x811c9dc5;
  for (const array of arrays) {
    if (array === undefined) continue;
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    for (let at = 0; at < bytes.length; at += 1) hash = Math.imul(hash ^ (bytes[at] ?? 0), 0x01000193);
  }
  return hash >>> 0;
}
