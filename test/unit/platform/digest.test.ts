import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { sha256HexNow } from '../../../src/platform/digest.ts';

const ofNode = (text: string) => createHash('sha256').update(text).digest('hex');

it('equals SHA-256 for any text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => sha256HexNow(text) === ofNode(text)),
  );
});

it('equals SHA-256 at each length around the end of a block', () => {
  for (let length = 0; length <= 130; length += 1)
    expect(sha256HexNow('k'.repeat(length))).toBe(ofNode('k'.repeat(length)));
});
