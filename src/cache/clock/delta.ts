import { type Clock, raise } from './clock.ts';
import { SLOT_COUNT } from './slots.ts';

/**
 * What changed after a `seq`, in binary: for each changed slot, in ascending order, the distance to the slot
 * before it and how far its version lies behind the newest one, both as LEB128 variable-length integers.
 * A handful of changes takes a handful of bytes; all 65,536 slots take about 260 KB.
 */
export function encodeDelta(clock: Clock, since: number): Uint8Array<ArrayBuffer> {
  if (since >= clock.seq) return new Uint8Array(0);
  const out = new ByteWriter();
  let previous = -1;
  for (let slot = 0; slot < SLOT_COUNT; slot += 1) {
    const version = clock.changed[slot] ?? 0;
    if (version <= since) continue;
    out.varint(slot - previous - 1);
    out.varint(clock.seq - version);
    previous = slot;
  }
  return out.bytes();
}

/** Applies a delta whose newest version is `seq`. Throws a RangeError on bytes that are not a delta. */
export function applyDelta(clock: Clock, seq: number, delta: Uint8Array): void {
  let position = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = delta[position];
      if (byte === undefined || shift > 2 ** 49) throw new RangeError('The delta is cut off or not a delta.');
      position += 1;
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) return value;
    }
  };
  let slot = -1;
  while (position < delta.length) {
    slot += varint() + 1;
    raise(clock, slot, seq - varint());
  }
  if (seq > clock.seq) clock.seq = seq;
}

class ByteWriter {
  #buffer = new Uint8Array(256);
  #length = 0;

  varint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.#push((rest % 128) | 0x80);
      rest = Math.floor(rest / 128);
    }
    this.#push(rest);
  }

  bytes(): Uint8Array<ArrayBuffer> {
    return this.#buffer.slice(0, this.#length);
  }

  #push(byte: number): void {
    if (this.#length === this.#buffer.length) {
      const grown = new Uint8Array(this.#buffer.length * 2);
      grown.set(this.#buffer);
      this.#buffer = grown;
    }
    this.#buffer[this.#length] = byte;
    this.#length += 1;
  }
}
