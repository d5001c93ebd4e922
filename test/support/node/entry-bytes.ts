/**
 * Prints what an entry in the memory tier takes of the heap, and what the tier counts, in bytes. Run it in a process of its
 * own with `--expose-gc`. Argument: the text that each answer has.
 */
import { cacheKey } from '../../../src/cache/cache-key.ts';
import { tagHashes } from '../../../src/cache/clock/tag-hash.ts';
import { bodyAndEtag, purgeTags } from '../../../src/cache/entry.ts';
import { timeToLiveMs } from '../../../src/cache/freshness.ts';
import { MemoryTier } from '../../../src/cache/tiers/memory.ts';
import { cachePolicy } from '../../../src/define/cache-policy.ts';
import { sha256HexNow } from '../../../src/platform/digest.ts';

const ENTRIES = 6_000;
const [text = ''] = process.argv.slice(2);
const policy = cachePolicy();

async function fill(tier: MemoryTier): Promise<void> {
  for (let index = 0; index < ENTRIES; index += 1) {
    const sku = `K${index}`;
    const key = cacheKey('product', { sku }, {});
    const made = await bodyAndEtag({ sku, text }, async (body) => sha256HexNow(body));
    const hashes = tagHashes([`product:${sku}`, `purchase@product:${sku}`, ...purgeTags('product', key)]);
    const at = { epoch: 'e', stamp: 5, fillMs: 3, asOf: 7, filledAt: 1_700_000_000_000 + index };
    const entry = { ...made, tagHashes: hashes, ...at };
    tier.put(key, entry);
    // What freshness keeps for an entry that was read belongs to it.
    timeToLiveMs(policy, key, entry);
  }
}

function heapBytes(): number {
  globalThis.gc?.();
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

// The first tier compiles the code and is dropped.
await fill(new MemoryTier(Number.MAX_SAFE_INTEGER));
const before = heapBytes();
const tier = new MemoryTier(Number.MAX_SAFE_INTEGER);
await fill(tier);
const after = heapBytes();
console.log(JSON.stringify({ used: (after - before) / ENTRIES, counted: tier.bytes / ENTRIES }));
