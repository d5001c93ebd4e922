import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';

/**
 * SHA-256 of UTF-8 text, as 64 lower-case hexadecimal digits, without waiting: Web Crypto's is asynchronous, and a
 * promise costs a warm hit more than hashing a short text here. For anything longer than a key use `sha256Hex`.
 */
export function sha256HexNow(text: string): string {
  return bytesToHex(sha256(utf8ToBytes(text)));
}
