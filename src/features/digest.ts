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

export function addCell(digest: ShardDigest, cell: Cell): ShardDigest {
  return addDigests([digest, digestOfCell(cell)]);
}

/** The digest without a cell that it contains. */
export function removeCell(digest: ShardDigest, cell: Cell): ShardDigest {
  const { sumA, sumB } = digestOfCell(cell);
  return addDigests([digest, { cells: -1, events: 0, sumA: -sumA, sumB: -sumB }]);
}

function digestOfCell({ key, feature, bucket, item, amount, lastAt }: Cell): ShardDigest {
  const text = JSON.stringify([key, feature, bucket, item, amount, lastAt]);
  return { cells: 1, events: 0, sumA: hash(text, SEED_A), sumB: hash(text, SEED_B) };
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

/** FNV-1a over UTF-16 units (Fowler, Noll, Vo) with MurmurHash3's final mix, because the sums of hashes are compared. */
function hash(text: string, seed: number): number {
  let value: number = seed;
  for (let index = 0; index < text.length; index += 1) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  }
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}
