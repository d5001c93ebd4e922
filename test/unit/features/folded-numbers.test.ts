import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addNumber,
  BLOCK_NUMBERS,
  bitmapOf,
  blockOf,
  storedBlock,
} from '../../../src/features/folded-numbers.ts';

const BITMAP_BYTES = 2_048;
const seqs = fc.array(fc.nat(BLOCK_NUMBERS - 1), { maxLength: 3_000 });

/** The block after its numbers arrived in these batches, stored and read again after each. */
function storedAfter(batches: readonly (readonly number[])[]): { stored: Uint8Array; fresh: number[] } {
  let stored = storedBlock(bitmapOf(undefined));
  const fresh: number[] = [];
  for (const batch of batches) {
    const bitmap = bitmapOf(stored);
    fresh.push(...batch.filter((seq) => addNumber(bitmap, seq)));
    stored = storedBlock(bitmap);
  }
  return { stored, fresh };
}

describe('a block of folded numbers', () => {
  it('takes each number once, and none that did not arrive, in any order and any batches', () => {
    fc.assert(
      fc.property(seqs, fc.nat(), fc.boolean(), (numbers, at, dense) => {
        // Dense numbers make ranges; scattered ones may make a bitmap.
        const wanted = dense ? numbers.map((number) => number % 600) : numbers;
        const cut = at % (wanted.length + 1);
        const { stored, fresh } = storedAfter([wanted.slice(cut), wanted.slice(0, cut), wanted]);
        expect(fresh.length).toBe(new Set(wanted).size);
        const bitmap = bitmapOf(stored);
        const kept = new Set(wanted);
        for (let seq = 0; seq < BLOCK_NUMBERS; seq += 1)
          if (addNumber(bitmap, seq) === kept.has(seq)) expect.fail(`${seq} is wrong.`);
      }),
      { numRuns: 30 },
    );
  });

  it('is stored the same whatever the order, in at most 2 KB', () => {
    fc.assert(
      fc.property(seqs, (numbers) => {
        const { stored } = storedAfter([numbers]);
        expect(storedAfter([...numbers].reverse().map((seq) => [seq])).stored).toEqual(stored);
        expect(stored.length).toBeLessThanOrEqual(BITMAP_BYTES);
      }),
      { numRuns: 5 },
    );
  });

  it.each([
    ['none', [], 0],
    ['one number', [5], 4],
    ['two with a gap of one', [5, 7], 8],
    ['all', Array.from({ length: BLOCK_NUMBERS }, (_, at) => at), 4],
    ['511 ranges', Array.from({ length: 511 }, (_, at) => at * 2), 2_044],
    ['512 ranges, as a bitmap', Array.from({ length: 512 }, (_, at) => at * 2), BITMAP_BYTES],
    ['every second number', Array.from({ length: BLOCK_NUMBERS / 2 }, (_, at) => at * 2 + 1), BITMAP_BYTES],
  ])('stores %s', (_, numbers, bytes) => {
    expect(storedAfter([numbers]).stored.length).toBe(bytes);
  });

  it('has its own numbers of a global sequence', () => {
    expect([0, BLOCK_NUMBERS - 1, BLOCK_NUMBERS].map(blockOf)).toEqual([0, 0, 1]);
    const bitmap = bitmapOf(undefined);
    expect(addNumber(bitmap, 3 * BLOCK_NUMBERS + 2)).toBe(true);
    expect(addNumber(bitmap, 3 * BLOCK_NUMBERS + 2)).toBe(false);
    for (const wrong of [-1, 0.5, 2 ** 53, Number.NaN]) expect(() => blockOf(wrong)).toThrow(/whole number/);
  });
});
