import { createHash } from 'node:crypto';

const MODULUS = 1n << 256n;

/**
 * A digest of rows that does not depend on their order: the sum of the SHA-256 of each row, modulo 2^256. A row that is
 * missing, changed or there twice changes it. It finds accidents; it is no signature.
 */
export class RowsDigest {
  #rows = 0;
  #sum = 0n;

  add(row: string): void {
    this.#rows += 1;
    this.#sum = (this.#sum + BigInt(`0x${createHash('sha256').update(row).digest('hex')}`)) % MODULUS;
  }

  get rows(): number {
    return this.#rows;
  }

  /** 64 hexadecimal digits. */
  get digest(): string {
    return this.#sum.toString(16).padStart(64, '0');
  }
}

/**
 * What of a row counts in the digest. A row is a JSON array of its columns' texts.
 *
 * @param left the positions of the columns that background work may change at any time.
 */
export function digestedPart(row: string, left: readonly number[]): string {
  if (left.length === 0) return row;
  const values = JSON.parse(row) as unknown[];
  return JSON.stringify(values.filter((_, index) => !left.includes(index)));
}

export function sha256(bytes: string | Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
