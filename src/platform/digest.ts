import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';

const encoder = new TextEncoder();

/** SHA-256 of bytes or of UTF-8 text, as 64 lower-case hexadecimal digits. */
export async function sha256Hex(input: Uint8Array<ArrayBuffer> | string): Promise<string> {
  const bytes = typeof input === 'string' ? encoder.encode(input) : input;
  return toHex(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)));
}

/**
 * SHA-256 of UTF-8 text, as 64 lower-case hexadecimal digits, without waiting: Web Crypto's is asynchronous, and a
 * promise costs a warm hit more than hashing a short text here. For anything longer than a key use `sha256Hex`.
 */
export function sha256HexNow(text: string): string {
  const bytes = asciiIn(SCRATCH, text) ?? encoder.encode(text);
  FRESH._cloneInto(HASHER);
  HASHER.update(bytes).digestInto(DIGEST);
  // Neither a key nor the state that its hash leaves stays in memory.
  HASHER.destroy();
  bytes.fill(0);
  return bytesToHex(DIGEST);
}

/** New hashers and arrays for each text cost more than hashing a key. Hashing is synchronous, so one of each is enough. */
const FRESH = sha256.create();
const HASHER = sha256.create();
const DIGEST = new Uint8Array(FRESH.outputLen);
/** As long as a key may be. */
const SCRATCH = new Uint8Array(256);

/** Writes a text into `scratch`; undefined if it is too long or not ASCII. An encoder is a call of the runtime. */
function asciiIn(scratch: Uint8Array, text: string): Uint8Array | undefined {
  if (text.length > scratch.length) return undefined;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code > 0x7f) return undefined;
    scratch[index] = code;
  }
  return scratch.subarray(0, text.length);
}

/**
 * Compares two strings in time that depends on the length of `expected` alone.
 * Both are digests here, so their length is no secret.
 */
export function equalInConstantTime(actual: string, expected: string): boolean {
  let difference = actual.length ^ expected.length;
  for (let index = 0; index < expected.length; index += 1) {
    difference |= actual.charCodeAt(index) ^ expected.charCodeAt(index);
  }
  return difference === 0;
}

function toHex(bytes: Uint8Array): string {
  let hex = '';
  for (const byte of bytes) hex += byte.toString(16).padStart(2, '0');
  return hex;
}
