import type { Entry } from '../entry.ts';
import type { Tier } from './tier.ts';

/** Size of an entry beside its text and its tags: the objects, the entity tag, and what freshness keeps for it. */
const ENTRY_OVERHEAD_BYTES = 448;
/** The engine keeps a text with a character beyond Latin-1 in two bytes a character, and any other in one. */
const BEYOND_LATIN_1 = /[\u0100-\uffff]/;

/** The isolate's own memory, bounded in bytes. It evicts the least recently used entry first. */
export class MemoryTier implements Tier {
  readonly name = 'memory';
  readonly #bytesMax: number;
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Approximate size of all entries. */
  get bytes(): number {
    return this.#bytes;
  }

  get(key: string): Entry | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    // A map iterates in the order of insertion, so reinserting an entry marks it as the most recently used.
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry;
  }

  put(key: string, entry: Entry): void {
    this.#drop(key);
    const size = sizeOf(key, entry);
    if (size > this.#bytesMax) return;
    this.#entries.set(key, entry);
    this.#bytes += size;
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.#bytesMax) break;
      this.#drop(oldest);
    }
  }

  #drop(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#bytes -= sizeOf(key, entry);
  }
}

function sizeOf(key: string, entry: Entry): number {
  return textBytes(key) + textBytes(entry.body) + entry.tagHashes.length * 8 + ENTRY_OVERHEAD_BYTES;
}

function textBytes(text: string): number {
  return text.length * (BEYOND_LATIN_1.test(text) ? 2 : 1);
}
