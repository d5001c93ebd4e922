/**
 * SHA-256 (FIPS 180-4) without waiting. Web Crypto's is asynchronous, and a promise costs a warm hit more than hashing
 * a short text here: about a microsecond for a key. For anything longer use `sha256Hex`.
 */

const BLOCK_BYTES = 64;
/** A padded text ends with its length in bits, in this many bytes. */
const LENGTH_BYTES = 8;

/** The first `count` primes. */
function primes(count: number): number[] {
  const found: number[] = [];
  for (let candidate = 2; found.length < count; candidate += 1)
    if (found.every((prime) => candidate % prime !== 0)) found.push(candidate);
  return found;
}

/** The first 32 bits of the fractional part. */
function fraction(value: number): number {
  return Math.floor((value - Math.floor(value)) * 2 ** 32) | 0;
}

const INITIAL = Int32Array.from(primes(8), (prime) => fraction(Math.sqrt(prime)));
const ROUND = Int32Array.from(primes(64), (prime) => fraction(Math.cbrt(prime)));

const encoder = new TextEncoder();
// No call awaits anything, so calls never interleave: all of them share one schedule and one state.
const schedule = new Int32Array(64);
const state = new Int32Array(8);

/** SHA-256 of UTF-8 text, as 64 lower-case hexadecimal digits. */
export function sha256HexNow(text: string): string {
  const padded = pad(encoder.encode(text));
  const words = new DataView(padded.buffer);
  state.set(INITIAL);
  for (let offset = 0; offset < padded.length; offset += BLOCK_BYTES) compress(words, offset);
  let hex = '';
  for (let index = 0; index < state.length; index += 1)
    hex += (at(state, index) >>> 0).toString(16).padStart(8, '0');
  return hex;
}

function pad(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const blocks = Math.ceil((bytes.length + 1 + LENGTH_BYTES) / BLOCK_BYTES);
  const padded = new Uint8Array(blocks * BLOCK_BYTES);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const bits = new DataView(padded.buffer, padded.length - LENGTH_BYTES);
  bits.setUint32(0, Math.floor(bytes.length / 2 ** 29));
  bits.setUint32(4, bytes.length << 3);
  return padded;
}

function compress(words: DataView, offset: number): void {
  const w = schedule;
  for (let index = 0; index < 16; index += 1) w[index] = words.getInt32(offset + index * 4);
  for (let index = 16; index < 64; index += 1) {
    const a = at(w, index - 15);
    const b = at(w, index - 2);
    const s0 = rotated(a, 7) ^ rotated(a, 18) ^ (a >>> 3);
    const s1 = rotated(b, 17) ^ rotated(b, 19) ^ (b >>> 10);
    w[index] = (at(w, index - 16) + s0 + at(w, index - 7) + s1) | 0;
  }
  // Assigned one by one, because destructuring would go through an iterator.
  let a = at(state, 0);
  let b = at(state, 1);
  let c = at(state, 2);
  let d = at(state, 3);
  let e = at(state, 4);
  let f = at(state, 5);
  let g = at(state, 6);
  let h = at(state, 7);
  for (let index = 0; index < 64; index += 1) {
    const s1 = rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25);
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + at(ROUND, index) + at(w, index)) | 0;
    const s0 = rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22);
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  add(0, a);
  add(1, b);
  add(2, c);
  add(3, d);
  add(4, e);
  add(5, f);
  add(6, g);
  add(7, h);
}

function add(index: number, word: number): void {
  state[index] = (at(state, index) + word) | 0;
}

function rotated(word: number, bits: number): number {
  return (word >>> bits) | (word << (32 - bits));
}

/** Reads an index that is known to be within the array, which the types cannot express. */
function at(array: Int32Array, index: number): number {
  return array[index] ?? 0;
}
