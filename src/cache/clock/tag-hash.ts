const encoder = new TextEncoder();

/** Hashes are unsigned 32-bit integers. */
export const TAG_HASH_MAX = 0xffff_ffff;

/**
 * The 32-bit hash by which clocks and entries refer to a tag: FNV-1a over its UTF-8 bytes, mixed by the finalizer of
 * MurmurHash3, so that all bits are usable as an index. Two tags with one hash cost a refill, never a stale answer.
 */
export function tagHash(tag: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < tag.length; index += 1) {
    const code = tag.charCodeAt(index);
    // UTF-16 and UTF-8 agree on ASCII, which nearly all tags are.
    if (code > 0x7f) return mixed(hashBytes(encoder.encode(tag)));
    hash = Math.imul(hash ^ code, 0x01000193);
  }
  return mixed(hash);
}

function hashBytes(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash;
}

function mixed(fnv: number): number {
  let hash = fnv;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** The distinct hashes of the tags, in ascending order. */
export function tagHashes(tags: Iterable<string>): number[] {
  const distinct = [...new Set(Array.from(tags, tagHash))].sort((a, b) => a - b);
  // The engine keeps each number above 2^30 as an object; in an array that arithmetic made it keeps plain doubles.
  return distinct.map((hash) => hash + 0);
}
