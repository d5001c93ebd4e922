/**
 * The numbers of the events that a shard has folded, by blocks of consecutive numbers. A block is stored as its ranges,
 * or as a bitmap once it has more than 511 of them: then the ranges would take more room than the bitmap's 2 KB. So a
 * block takes at most 2 KB, in whatever order its numbers arrive, and states exactly which of them were folded.
 *
 * Ranges across all numbers would not do: a shard receives the events of its own keys, one in eight, so its numbers
 * have gaps that never close.
 */

/** Numbers of a block. Its bitmap fits into one page of SQLite, which has 4 KB. */
export const BLOCK_NUMBERS = 16_384;
const BITMAP_BYTES = BLOCK_NUMBERS / 8;
/** The first and the last number of a range, as offsets in the block, 16 bits each. */
const RANGE_BYTES = 4;
const RANGES_MAX = BITMAP_BYTES / RANGE_BYTES - 1;

/** The block of a number. */
export function blockOf(seq: number): number {
  if (!Number.isSafeInteger(seq) || seq < 0)
    throw new RangeError(`The number of an event is a whole number from 0 on, and not ${seq}.`);
  return Math.floor(seq / BLOCK_NUMBERS);
}

/** The bitmap of a stored block; an empty one if none is stored. */
export function bitmapOf(stored: Uint8Array | undefined): Uint8Array {
  if (stored?.length === BITMAP_BYTES) return Uint8Array.from(stored);
  const bitmap = new Uint8Array(BITMAP_BYTES);
  if (stored === undefined) return bitmap;
  const view = new DataView(stored.buffer, stored.byteOffset, stored.length);
  for (let at = 0; at < stored.length; at += RANGE_BYTES) {
    const last = view.getUint16(at + 2, true);
    for (let offset = view.getUint16(at, true); offset <= last; offset += 1) setBit(bitmap, offset);
  }
  return bitmap;
}

/** Adds a number to the bitmap of its block; false if the block has it already. */
export function addNumber(bitmap: Uint8Array, seq: number): boolean {
  const offset = seq % BLOCK_NUMBERS;
  if (hasBit(bitmap, offset)) return false;
  setBit(bitmap, offset);
  return true;
}

/** Whether the bitmap of a number's block has the number. */
export function hasNumber(bitmap: Uint8Array, seq: number): boolean {
  return hasBit(bitmap, seq % BLOCK_NUMBERS);
}

/** The bitmap in the form in which it is stored. */
export function storedBlock(bitmap: Uint8Array): Uint8Array {
  if (rangesOf(bitmap) > RANGES_MAX) return bitmap;
  const ranges: number[] = [];
  let first = -1;
  for (let offset = 0; offset < BLOCK_NUMBERS; offset += 1) {
    // Most bytes have none of their numbers, or all of them.
    if ((offset & 7) === 0 && bitmap[offset >> 3] === (first < 0 ? 0 : 0xff)) {
      offset += 7;
    } else if (hasBit(bitmap, offset)) {
      if (first < 0) first = offset;
    } else if (first >= 0) {
      ranges.push(first, offset - 1);
      first = -1;
    }
  }
  if (first >= 0) ranges.push(first, BLOCK_NUMBERS - 1);
  const stored = new DataView(new ArrayBuffer(ranges.length * 2));
  for (const [at, offset] of ranges.entries()) stored.setUint16(at * 2, offset, true);
  return new Uint8Array(stored.buffer);
}

/** How many ranges the numbers of a bitmap make: each has one number whose predecessor is missing. */
function rangesOf(bitmap: Uint8Array): number {
  let ranges = 0;
  let carry = 0;
  for (const byte of bitmap) {
    for (let firsts = byte & ~((byte << 1) | carry); firsts !== 0; firsts &= firsts - 1) ranges += 1;
    carry = byte >> 7;
  }
  return ranges;
}

function hasBit(bitmap: Uint8Array, offset: number): boolean {
  return ((bitmap[offset >> 3] ?? 0) & (1 << (offset & 7))) !== 0;
}

function setBit(bitmap: Uint8Array, offset: number): void {
  bitmap[offset >> 3] = (bitmap[offset >> 3] ?? 0) | (1 << (offset & 7));
}
