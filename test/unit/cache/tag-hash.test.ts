import fc from 'fast-check';
import { it } from 'vitest';
import { tagHash } from '../../../src/cache/clock/tag-hash.ts';

/** FNV-1a over the UTF-8 bytes and MurmurHash3's finalizer, in exact integers. */
function reference(tag: string): number {
  const wrap = (value: bigint) => value & 0xffff_ffffn;
  let hash = 0x811c9dc5n;
  for (const byte of Buffer.from(tag, 'utf8')) hash = wrap((hash ^ BigInt(byte)) * 0x01000193n);
  hash = wrap((hash ^ (hash >> 16n)) * 0x85ebca6bn);
  hash = wrap((hash ^ (hash >> 13n)) * 0xc2b2ae35n);
  return Number(hash ^ (hash >> 16n));
}

it('is one hash of the UTF-8 bytes, whether a tag is ASCII, begins as ASCII, or is not', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary-ascii' }),
    fc.string({ unit: 'grapheme' }),
    // A lone surrogate is hashed as the replacement character.
    fc
      .tuple(fc.string(), fc.constantFrom('é', '\u{1f33e}', '\ud800', '\x7f', '\x80'), fc.string())
      .map((p) => p.join('')),
  );
  fc.assert(fc.property(text, (tag) => tagHash(tag) === reference(tag)));
});
