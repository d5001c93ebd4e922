const VARINT_BYTES_MAX = 8;

/**
 * Writes unsigned LEB128 variable-length integers: seven bits a byte, the lowest first; the high bit is set if more
 * bytes follow. Values go up to `Number.MAX_SAFE_INTEGER`, in at most eight bytes.
 */
export class VarintWriter {
  #buffer = new Uint8Array(64);
  #length = 0;

  /** Throws a RangeError unless the value is a whole number from 0 to `Number.MAX_SAFE_INTEGER`. */
  varint(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0)
      throw new RangeError(`${value} is not an unsigned integer.`);
    while (this.#length + VARINT_BYTES_MAX > this.#buffer.length) this.#grow();
    let rest = value;
    // Bit operations work on 32 bits and are several times faster; most numbers fit.
    while (rest > 0x7fff_ffff) {
      this.#buffer[this.#length++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    while (rest >= 0x80) {
      this.#buffer[this.#length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#buffer[this.#length++] = rest;
  }

  /** Four bytes, little-endian. */
  uint32(value: number): void {
    while (this.#length + 4 > this.#buffer.length) this.#grow();
    this.#buffer[this.#length++] = value & 0xff;
    this.#buffer[this.#length++] = (value >>> 8) & 0xff;
    this.#buffer[this.#length++] = (value >>> 16) & 0xff;
    this.#buffer[this.#length++] = value >>> 24;
  }

  raw(bytes: Uint8Array): void {
    while (this.#length + bytes.length > this.#buffer.length) this.#grow();
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  bytes(): Uint8Array<ArrayBuffer> {
    return this.#buffer.slice(0, this.#length);
  }

  #grow(): void {
    const grown = new Uint8Array(this.#buffer.length * 2);
    grown.set(this.#buffer);
    this.#buffer = grown;
  }
}

/** Reads the output of a `VarintWriter`. Throws a RangeError for bytes that end too early or a number that is too large. */
export class VarintReader {
  readonly #bytes: Uint8Array;
  #position = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#position >= this.#bytes.length;
  }

  varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#bytes[this.#position];
      if (byte === undefined) throw new RangeError('The bytes end within a number.');
      this.#position += 1;
      value += (byte & 0x7f) * scale;
      if (scale > 2 ** 49 || value > Number.MAX_SAFE_INTEGER)
        throw new RangeError('A number is larger than 2^53 - 1.');
      if (byte < 0x80) return value;
    }
  }

  /** Four bytes, little-endian. */
  uint32(): number {
    const bytes = this.#bytes;
    const at = this.#position;
    if (at + 4 > bytes.length) throw new RangeError('Expected 4 more bytes; fewer are left.');
    this.#position = at + 4;
    // Not through `raw`: the first sync of an isolate reads 60,000 of them, and each view would be an object.
    const low = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
    return (low | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24)) >>> 0;
  }

  /** The next bytes as a view of the same memory. */
  raw(length: number): Uint8Array {
    const end = this.#position + length;
    if (end > this.#bytes.length) throw new RangeError(`Expected ${length} more bytes; fewer are left.`);
    const part = this.#bytes.subarray(this.#position, end);
    this.#position = end;
    return part;
  }

  /** All bytes that are left, as a view of the same memory. */
  rest(): Uint8Array {
    return this.raw(this.#bytes.length - this.#position);
  }
}
