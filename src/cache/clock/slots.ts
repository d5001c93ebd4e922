/** Number of slots of a clock; it bounds the state at 512 KB. Two tags in one slot cost a refill, never a stale answer. */
export const SLOT_COUNT = 65_536;

const encoder = new TextEncoder();

/** The slot of a tag: 32-bit FNV-1a over its UTF-8 bytes, XOR-folded to 16 bits as the authors of FNV recommend. */
export function slotOf(tag: string): number {
  let hash = 0x811c9dc5;
  for (const byte of encoder.encode(tag)) {
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  return ((hash >>> 16) ^ hash) & 0xffff;
}

/** The distinct slots of the tags, in ascending order. */
export function slotsOf(tags: Iterable<string>): number[] {
  return [...new Set(Array.from(tags, slotOf))].sort((a, b) => a - b);
}
