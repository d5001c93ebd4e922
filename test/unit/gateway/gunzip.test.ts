import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { gunzip } from '../../../src/gateway/gunzip.ts';

const MAX = 1_000_000;
const packed = (...parts: Uint8Array[]) => new Uint8Array(Buffer.concat(parts));

it('unpacks one or more members, whatever their bytes are', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 0, max: 9 })), {
        minLength: 1,
        maxLength: 6,
      }),
      async (members) => {
        const data = packed(...members.map(([bytes, level]) => gzipSync(bytes, { level })));
        const whole = packed(...members.map(([bytes]) => bytes));
        expect(await gunzip(data, MAX)).toEqual(whole);
      },
    ),
    { numRuns: 60 },
  );
});

it('is not misled by stored bytes that look like the beginning of a member', async () => {
  const misleading = gzipSync(Buffer.concat([Buffer.from([0x1f, 0x8b, 0x08]), randomBytes(50)]), {
    level: 0,
  });
  const data = packed(misleading, misleading, gzipSync('end'));
  const unpacked = await gunzip(data, MAX);
  expect(unpacked).toHaveLength(109);
});

it.each([
  ['no bytes', new Uint8Array(0)],
  ['no gzip', new Uint8Array([1, 2, 3])],
  ['a member that is cut off', packed(gzipSync('a'), gzipSync('b').subarray(0, -3))],
  ['bytes behind the last member', packed(gzipSync('a'), Buffer.from('junk'))],
  [
    'a wrong checksum',
    packed(gzipSync('a'), gzipSync('b').subarray(0, -8), Buffer.from([7, 7, 7, 7, 1, 0, 0, 0])),
  ],
])('%s is malformed', async (_, data) => {
  expect(await gunzip(data, MAX)).toBe('malformed');
});

it('stops at the limit, and bounds the work on data that look like very many members', async () => {
  const bomb = gzipSync(Buffer.alloc(2 * MAX));
  expect(await gunzip(packed(bomb), MAX)).toBe('too_large');
  expect(await gunzip(packed(gzipSync('a'), bomb), MAX)).toBe('too_large');
  const magic = Buffer.from([0x1f, 0x8b, 0x08]);
  const hostile = packed(gzipSync('a'), Buffer.concat(Array.from({ length: 5_000 }, () => magic)));
  expect(await gunzip(hostile, MAX)).toBe('malformed');
});
