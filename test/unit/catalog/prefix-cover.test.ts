import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { COVER_PREFIXES_MAX, coverOf, prefixesOf } from '../../../src/define/prefix-cover.ts';
import { runsOf } from '../../support/node/part.ts';

/** Positions that often share their beginning, as those of neighbours in a list do. */
const position = (digits: number) =>
  fc
    .tuple(
      fc.constantFrom('', '3', '39', '3930', '39303031'),
      fc.string({ unit: digit(), maxLength: digits }),
    )
    .map(([start, rest]) => (start + rest).slice(0, digits).padEnd(digits, '0'));
function digit() {
  return fc.constantFrom(...'0123456789abcdef', ...'0000', ...'ffff');
}
const range = fc
  .integer({ min: 1, max: 18 })
  .chain((digits) => fc.tuple(position(digits), position(digits), position(digits)))
  .map(([a, b, any]) => {
    const [low = '', high = ''] = [a, b].sort();
    return { low, high, any };
  });

const meets = (cover: readonly string[], of: string) =>
  prefixesOf(of).filter((prefix) => cover.includes(prefix)).length;

describe('the cover of a range', () => {
  it('covers every position of the range exactly once', () => {
    fc.assert(
      fc.property(range, ({ low, high, any }) => {
        const cover = coverOf(low, high);
        expect(meets(cover, low)).toBe(1);
        expect(meets(cover, high)).toBe(1);
        if (low <= any && any <= high) expect(meets(cover, any)).toBe(1);
      }),
      { numRuns: runsOf(3_000) },
    );
  });

  it('is bounded', () => {
    fc.assert(
      fc.property(range, ({ low, high }) => {
        const cover = coverOf(low, high);
        expect(cover.length).toBeLessThanOrEqual(COVER_PREFIXES_MAX);
        expect(new Set(cover).size).toBe(cover.length);
      }),
      { numRuns: runsOf(3_000) },
    );
  });

  it('covers positions outside the range only if they share a prefix with one of its ends', () => {
    fc.assert(
      fc.property(range, ({ low, high, any }) => {
        fc.pre(any < low || any > high);
        const cover = coverOf(low, high);
        const ends = cover.filter((prefix) => low.startsWith(prefix) || high.startsWith(prefix));
        expect(meets(cover, any)).toBe(ends.some((prefix) => any.startsWith(prefix)) ? 1 : 0);
        for (const prefix of cover) {
          const touched = [prefix.padEnd(low.length, '0'), prefix.padEnd(low.length, 'f')] as const;
          expect(touched[0] <= high && touched[1] >= low).toBe(true);
        }
      }),
      { numRuns: runsOf(3_000) },
    );
  });

  it('cuts its ends: of neighbours that differ in one digit, one is covered', () => {
    expect(coverOf('39303031', '39303032')).toEqual(['39303031', '39303032']);
    expect(coverOf('00000000', '31320000')).not.toContain('');
    expect(meets(coverOf('00000000', '31320000'), '31330000')).toBe(0);
    expect(coverOf('00', 'ff')).toEqual(['']);
    expect(coverOf('30', '3f')).toEqual(['3']);
  });

  it('is refused for an empty range', () => {
    expect(() => coverOf('31', '30')).toThrow(RangeError);
    expect(() => coverOf('3', '30')).toThrow(RangeError);
  });
});
