import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { identityHash, identityHashes } from '../../../src/pipeline/identity.ts';

describe('the hash of an identity', () => {
  it('is a whole number of 53 bits, equal for equal identities', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (source, id) => {
        const hash = identityHash(source, id);
        expect(Number.isSafeInteger(hash) && hash >= 0).toBe(true);
        expect(identityHash(source, id)).toBe(hash);
      }),
    );
  });

  it('differs for half a million identities that differ in a digit or in where the source ends', () => {
    const hashes = new Set<number>();
    for (let n = 0; n < 125_000; n += 1) {
      hashes.add(identityHash('/imports/online-retail', `489434-85123A-0a1b2c-${n}`));
      hashes.add(identityHash(`/imports/${n}`, '489434'));
      hashes.add(identityHash('/a', `b${n}`));
      hashes.add(identityHash('/ab', String(n)));
    }
    expect(hashes.size).toBe(500_000);
  });

  it('uses all of its bits', () => {
    const samples = Array.from({ length: 4_096 }, (_, n) => identityHash('/s', String(n)));
    for (let bit = 0; bit < 53; bit += 1) {
      const set = samples.filter((hash) => Math.floor(hash / 2 ** bit) % 2 === 1).length;
      // Within six standard deviations of a fair coin's.
      expect(Math.abs(set - 2_048)).toBeLessThan(6 * 32);
    }
  });
});

it('leaves out events without an identity', () => {
  const events = [null, 'x', { source: 1, id: 'a' }, { source: '/s', id: 'a' }];
  expect(identityHashes(events)).toEqual([identityHash('/s', 'a')]);
});
