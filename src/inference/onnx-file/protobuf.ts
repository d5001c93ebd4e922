/**
 * A reader of the wire format of Protocol Buffers. Libraries that read it by reflection generate code at run time, which
 * workerd forbids, and the registry needs a few fields only.
 */

/** A field of a message. */
export interface Field {
  readonly number: number;
  /** A varint or a 64-bit number, unsigned; 0 for other fields. */
  readonly integer: bigint;
  /** A text, bytes, a message or packed numbers; the four bytes of a float; empty for other fields. */
  readonly bytes: Uint8Array;
}

const VARINT = 0;
const FIXED64 = 1;
const DELIMITED = 2;
const FIXED32 = 5;
const VARINT_BYTES_MAX = 10;
const NOTHING = new Uint8Array();

/** The bytes are not a message. */
export class MalformedMessage extends Error {
  override readonly name = 'MalformedMessage';
}

/** The fields of a message, in their order. @throws MalformedMessage */
export function* fieldsOf(message: Uint8Array): Generator<Field> {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  let offset = 0;
  while (offset < message.length) {
    const tag = varintAt(message, offset);
    offset = tag.end;
    const number = Number(tag.value >> 3n);
    const wire = Number(tag.value & 7n);
    switch (wire) {
      case VARINT: {
        const { value, end } = varintAt(message, offset);
        offset = end;
        yield { number, integer: value, bytes: NOTHING };
        break;
      }
      case FIXED64:
        assertRoom(message, offset + 8);
        yield { number, integer: view.getBigUint64(offset, true), bytes: NOTHING };
        offset += 8;
        break;
      case FIXED32:
        assertRoom(message, offset + 4);
        yield { number, integer: 0n, bytes: message.subarray(offset, offset + 4) };
        offset += 4;
        break;
      case DELIMITED: {
        const length = varintAt(message, offset);
        const end = length.end + Number(length.value);
        assertRoom(message, end);
        yield { number, integer: 0n, bytes: message.subarray(length.end, end) };
        offset = end;
        break;
      }
      default:
        throw new MalformedMessage(`A field has the unknown wire type ${wire}.`);
    }
  }
}

/**
 * Calls `visit` for each field of a message, in their order, with the place of its value in the message. It allocates
 * nothing, so that long lists of numbers are read fast.
 *
 * @throws MalformedMessage
 */
export function eachField(
  message: Uint8Array,
  visit: (number: number, start: number, end: number) => void,
): void {
  let offset = 0;
  const varint = () => {
    let value = 0;
    let scale = 1;
    for (let index = 0; index < VARINT_BYTES_MAX; index += 1) {
      const byte = message[offset];
      if (byte === undefined) throw new MalformedMessage('A number is truncated.');
      offset += 1;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
    throw new MalformedMessage(`A number has more than ${VARINT_BYTES_MAX} bytes.`);
  };
  while (offset < message.length) {
    const tag = varint();
    const wire = tag % 8;
    let start = offset;
    if (wire === VARINT) varint();
    else if (wire === FIXED64) offset += 8;
    else if (wire === FIXED32) offset += 4;
    else if (wire === DELIMITED) {
      const length = varint();
      start = offset;
      offset += length;
    } else throw new MalformedMessage(`A field has the unknown wire type ${wire}.`);
    assertRoom(message, offset);
    visit(Math.floor(tag / 8), start, offset);
  }
}

/** The integers of a list, packed or not, as signed 64-bit numbers. Beyond 2⁵³ they are rounded. @throws MalformedMessage */
export function integersAt(
  message: Uint8Array,
  start: number,
  end: number,
  take: (value: number) => void,
): void {
  let offset = start;
  while (offset < end) {
    let value = 0;
    let scale = 1;
    let bytes = 0;
    for (;;) {
      const byte = message[offset + bytes] ?? 0;
      bytes += 1;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
      scale *= 128;
      if (bytes === VARINT_BYTES_MAX || offset + bytes >= end)
        throw new MalformedMessage('A number is truncated.');
    }
    // Ten bytes have the highest bit, so the number is negative.
    take(bytes < VARINT_BYTES_MAX ? value : Number(BigInt.asIntN(64, varintAt(message, offset).value)));
    offset += bytes;
  }
}

/** Packed varints. @throws MalformedMessage */
export function* varintsOf(packed: Uint8Array): Generator<bigint> {
  for (let offset = 0; offset < packed.length; ) {
    const { value, end } = varintAt(packed, offset);
    offset = end;
    yield value;
  }
}

function varintAt(bytes: Uint8Array, start: number): { value: bigint; end: number } {
  let low = 0;
  let value = 0n;
  for (let index = 0; index < VARINT_BYTES_MAX; index += 1) {
    const byte = bytes[start + index];
    if (byte === undefined) throw new MalformedMessage('A number is truncated.');
    // Most numbers are small, and bigints are slow.
    if (index < 4) low |= (byte & 0x7f) << (7 * index);
    else value |= BigInt(byte & 0x7f) << BigInt(7 * index);
    if (byte < 0x80) return { value: value | BigInt(low), end: start + index + 1 };
  }
  throw new MalformedMessage(`A number has more than ${VARINT_BYTES_MAX} bytes.`);
}

function assertRoom(message: Uint8Array, end: number): void {
  if (end > message.length) throw new MalformedMessage('A field is truncated.');
}
