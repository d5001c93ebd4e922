import fc from 'fast-check';
import { expect, it } from 'vitest';
import { gunzip } from '../../src/gateway/gunzip.ts';

const MAX = 1_000_000;
const utf8 = new TextEncoder();

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

/** One member. */
async function packed(content: Uint8Array<ArrayBuffer> | string): Promise<Uint8Array> {
  const bytes = typeof content === 'string' ? utf8.encode(content) : content;
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream('gzip'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** A member whose bytes are stored as they are (RFC 1951 §3.2.4), without a checksum that fits. */
const LOOKS_LIKE_A_MEMBER = Uint8Array.from([0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0, 0, 3]);

it('unpacks one or more members, whatever their bytes are', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 6 }),
      async (contents) => {
        const members = await Promise.all(contents.map((bytes) => packed(Uint8Array.from(bytes))));
        const unpacked = gunzip(joined(...members), MAX);
        expect(unpacked).toBeInstanceOf(Uint8Array);
        expect([...Object(unpacked)]).toEqual([...joined(...contents)]);
      },
    ),
    { numRuns: 60 },
  );
});

it('is not misled by bytes within a member that look like the beginning of one', async () => {
  const member = await packed(LOOKS_LIKE_A_MEMBER);
  expect(gunzip(joined(member, member, await packed('end')), MAX)).toHaveLength(23);
});

it('refuses what is not whole members with their checksums', async () => {
  const [a, b] = [await packed('a'), await packed('b')];
  const wrong = Uint8Array.from(b);
  wrong.set([7, 7, 7, 7], b.length - 8);
  for (const data of [
    new Uint8Array(0),
    Uint8Array.from([1, 2, 3]),
    joined(a, b.subarray(0, -3)),
    joined(a, utf8.encode('junk')),
    joined(a, LOOKS_LIKE_A_MEMBER),
    joined(a, wrong),
  ])
    expect(gunzip(data, MAX)).toBe('malformed');
});

it('stops at the limit', async () => {
  const bomb = await packed(new Uint8Array(2 * MAX));
  expect(gunzip(bomb, MAX)).toBe('too_large');
  expect(gunzip(joined(await packed('a'), bomb), MAX)).toBe('too_large');
  expect(gunzip(await packed(new Uint8Array(MAX)), MAX)).toHaveLength(MAX);
});
