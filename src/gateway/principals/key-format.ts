import { sha256HexNow } from '../../platform/digest.ts';
import { base64Url, hex } from '../../platform/random-bytes.ts';

/**
 * The text of an API key: `mlr_`, the id, `_`, the secret and a checksum. The prefix lets scanners of source code find a
 * key that was committed. The checksum refuses a mistyped key without a look-up.
 */
const PREFIX = 'mlr_';
/** 64 bits, in hexadecimal: with a million keys, two of them have one id with a probability of 3 × 10⁻⁸. */
const ID_BYTES = 8;
const SECRET_BYTES = 32;
/** 32 bits in hexadecimal: one mistyped key in four billion passes. */
const CHECKSUM_CHARACTERS = 8;
const KEY = /^(mlr_([0-9a-f]{16})_[A-Za-z0-9_-]{43})([0-9a-f]{8})$/;
const KEY_ID = /^[0-9a-f]{16}$/;

export interface NewKey {
  readonly id: string;
  /** The whole text, which its holder sends. */
  readonly text: string;
}

/** @param random returns random bytes of a cryptographically secure source. */
export function newKeyId(random: (bytes: number) => Uint8Array): string {
  return hex(random(ID_BYTES));
}

/** A new key, or a new secret for the key of this id. */
export function newKey(random: (bytes: number) => Uint8Array, id: string = newKeyId(random)): NewKey {
  const body = `${PREFIX}${id}_${base64Url(random(SECRET_BYTES))}`;
  return { id, text: body + checksumOf(body) };
}

/** The id of a key's text; undefined for any other text. It does not verify the checksum. */
export function idOf(text: string): string | undefined {
  return KEY.exec(text)?.[2];
}

/** Whether a text has the format of a key and the right checksum. */
export function isWellFormed(text: string): boolean {
  const [, body, , checksum] = KEY.exec(text) ?? [];
  return body !== undefined && checksum === checksumOf(body);
}

export function isKeyId(text: string): boolean {
  return KEY_ID.test(text);
}

function checksumOf(body: string): string {
  return sha256HexNow(body).slice(0, CHECKSUM_CHARACTERS);
}
