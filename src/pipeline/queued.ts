import type { QueueItem } from './ingest.ts';

/** Objects that note queued events. All events of a request are noted by the same object. */
export const QUEUED_SHARDS = 4;

/**
 * 53 bits of a source and id: two 32-bit multiplicative hashes with different multipliers. Among a million
 * hashes, an event that was never sent matches one with a probability of 1 in 10^10.
 */
export function identityHash(source: string, id: string): number {
  let low = 0x811c9dc5;
  let high = 0x9e3779b9;
  for (const part of [source, '\n', id]) {
    for (let index = 0; index < part.length; index += 1) {
      const unit = part.charCodeAt(index);
      low = Math.imul(low ^ unit, 0x01000193);
      high = Math.imul((high << 13) ^ (high >>> 19) ^ unit, 0x2c1b3c6d);
    }
  }
  high = Math.imul(high ^ (high >>> 15), 0x297a2d39);
  low = Math.imul(low ^ (low >>> 16), 0x45d9f3b5) ^ high;
  return (high >>> 11) * 0x1_0000_0000 + (low >>> 0);
}

/** The hashes of the events of a request. Items without a source and an id are left out. */
export function hashesOf(items: readonly QueueItem[]): number[] {
  return items.flatMap((item) => {
    const event: unknown = 'accepted' in item ? item.accepted : item.refused.raw;
    if (typeof event !== 'object' || event === null) return [];
    const [source, id]: unknown[] = [Reflect.get(event, 'source'), Reflect.get(event, 'id')];
    return typeof source === 'string' && typeof id === 'string' ? [identityHash(source, id)] : [];
  });
}
