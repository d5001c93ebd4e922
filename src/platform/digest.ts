import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';

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
  return bytesToHex(sha256(utf8ToBytes(text)));
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
