import type { Cell } from './fold.ts';

/** A shard's contents as a few numbers. They do not depend on the order of events, and digests of shards add up. */
export interface ShardDigest {
  readonly cells: number;
  /** Folded events. An event that two shards have folded counts in both. */
  readonly events: number;
  /** Sums of two 32-bit hashes of the cells, modulo 2^32. */
  readonly sumA: number;
  readonly sumB: number;
}

export const EMPTY_DIGEST: ShardDigest = { cells: 0, events: 0, sumA: 0, sumB: 0 };

/** Start values of the two hashes: FNV-1a's offset basis, and another. */
const SEED_A = 0x811c9dc5;
const SEED_B = 0x9e3779b9;

/** By how much cells change a digest. It is added up in place, because a fold adds thousands of cells. */
export class DigestTally {
  #cells = 0;
  #sumA = 0;
  #sumB = 0;

  add(cell: Cell): void {
    this.#count(cell, identityOf(cell), 1);
  }

  remove(cell: Cell): void {
    this.#count(cell, identityOf(cell), -1);
  }

  /** Counts `after` in place of `before`, which have the same feature, key, bucket and item. */
  replace(before: Cell, after: Cell): void {
    const identity = identityOf(after);
    this.#count(before, identity, -1);
    this.#count(after, identity, 1);
  }

  get change(): ShardDigest {
    return { cells: this.#cells, events: 0, sumA: this.#sumA, sumB: this.#sumB };
  }

  #count({ amount, lastAt, state }: Cell, { a, b }: Identity, times: 1 | -1): void {
    const value = state === '' ? `${amount} ${lastAt}` : `${amount} ${lastAt} ${state}`;
    this.#cells += times;
    this.#sumA = (this.#sumA + times * mixed(hash(value, a))) >>> 0;
    this.#sumB = (this.#sumB + times * mixed(hash(value, b))) >>> 0;
  }
}

/** The two hashes of what identifies a cell. They go on with its value. */
interface Identity {
  readonly a: number;
  readonly b: number;
}

function identityOf({ key, feature, bucket, item }: Cell): Identity {
  const text = JSON.stringify([key, feature, bucket, item]);
  return { a: hash(text, SEED_A), b: hash(text, SEED_B) };
}

export function addDigests(digests: readonly ShardDigest[]): ShardDigest {
  return digests.reduce(
    (all, { cells, events, sumA, sumB }) => ({
      cells: all.cells + cells,
      events: all.events + events,
      sumA: (all.sumA + sumA) >>> 0,
      sumB: (all.sumB + sumB) >>> 0,
    }),
    EMPTY_DIGEST,
  );
}

/** The digest as 16 hexadecimal digits. Equal states have equal digests. */
export function digestText({ sumA, sumB }: ShardDigest): string {
  return [sumA, sumB].map((sum) => sum.toString(16).padStart(8, '0')).join('');
}

/** FNV-1a over UTF-16 units (Fowler, Noll, Vo). */
function hash(text: string, seed: number): number {
  let value: number = seed;
  for (let index = 0; index < text.length; index += 1) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  }
  return value;
}

/** MurmurHash3's final mix, because sums of hashes are compared. */
function mixed(hashed: number): number {
  let value = Math.imul(hashed ^ (hashed >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}
