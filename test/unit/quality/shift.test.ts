import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  chanceLimit,
  populationStabilityIndex,
  SHIFT_REFERENCE_MIN,
  SHIFT_VALUES_MIN,
  shiftOf,
} from '../../../src/operations/quality/shift.ts';

const BINS = ['a', 'b', 'c', 'd'];
const spread = (counts: readonly number[]) =>
  Object.fromEntries(BINS.map((bin, index) => [bin, counts[index] ?? 0]));
const counts = fc.array(fc.nat(10_000), { minLength: 4, maxLength: 4 });

describe('the population stability index', () => {
  it('equals a value computed by hand', () => {
    // Large counts, so that the half observations do not show: (0.6-0.5)ln(0.6/0.5) + (0.4-0.5)ln(0.4/0.5).
    expect(populationStabilityIndex([6e8, 4e8], [5e8, 5e8])).toBeCloseTo(0.04055, 5);
    expect(populationStabilityIndex([8e8, 2e8], [5e8, 5e8])).toBeCloseTo(0.41589, 5);
  });

  it('is zero for equal distributions, never negative or infinite, and symmetric', () => {
    fc.assert(
      fc.property(counts, counts, (a, b) => {
        const there = populationStabilityIndex(a, b);
        expect(there).toBeGreaterThanOrEqual(0);
        expect(Number.isFinite(there)).toBe(true);
        expect(populationStabilityIndex(b, a)).toBeCloseTo(there, 9);
        expect(populationStabilityIndex(a, a)).toBe(0);
      }),
    );
  });

  it('grows as values move from one bin to another', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 499 }), (moved) => {
        const at = (shift: number) => populationStabilityIndex([500 - shift, 500 + shift], [500, 500]);
        expect(at(moved)).toBeGreaterThan(at(moved - 1));
      }),
    );
  });
});

describe('the limit of chance', () => {
  it('is the quantile of chi-square divided by the numbers of values', () => {
    // The 99 % quantiles of chi-square with 4 and 9 degrees of freedom are 13.277 and 21.666.
    expect(chanceLimit(5, 200, 200) * 100).toBeCloseTo(13.277, 1);
    expect(chanceLimit(10, 1_000, 1_000) * 500).toBeCloseTo(21.666, 1);
  });

  it('is exceeded by about one in a hundred samples of one distribution', () => {
    const shares = [0.4, 0.3, 0.2, 0.1];
    // A linear congruential generator: the same samples each time.
    let state = 7;
    const random = () => {
      state = (state * 48_271) % 2_147_483_647;
      return state / 2_147_483_647;
    };
    const sample = (values: number) => {
      const drawn = [0, 0, 0, 0];
      for (let n = 0; n < values; n += 1) {
        let left = random();
        const bin = shares.findIndex((share) => {
          left -= share;
          return left < 0;
        });
        drawn[bin === -1 ? 3 : bin] = (drawn[bin === -1 ? 3 : bin] ?? 0) + 1;
      }
      return drawn;
    };
    const limit = chanceLimit(4, 150, 600);
    let exceeded = 0;
    for (let round = 0; round < 3_000; round += 1)
      if (populationStabilityIndex(sample(150), sample(600)) > limit) exceeded += 1;
    expect(exceeded / 3_000).toBeGreaterThan(0.004);
    expect(exceeded / 3_000).toBeLessThan(0.02);
  });
});

describe('a shift', () => {
  const before = spread([500, 300, 150, 50]);

  it('is reported only with enough values on both sides', () => {
    const few = spread([SHIFT_VALUES_MIN - 1, 0, 0, 0]);
    expect(shiftOf(BINS, 0.25, few, before)).toMatchObject({ status: 'insufficient_data', psi: null });
    const young = spread([SHIFT_REFERENCE_MIN - 1, 0, 0, 0]);
    expect(shiftOf(BINS, 0.25, before, young).status).toBe('insufficient_data');
  });

  it('counts the values that would have to move for the distributions to be equal', () => {
    const shift = shiftOf(BINS, 0.25, spread([50, 30, 15, 905]), before);
    expect(shift).toMatchObject({ status: 'shifted', values: 1_000, referenceValues: 1_000, displaced: 855 });
    expect(shiftOf(BINS, 0.25, spread([480, 310, 155, 55]), before)).toMatchObject({
      status: 'stable',
      displaced: 0,
    });
  });

  it('never counts more values than there are, and none while the distribution is stable', () => {
    fc.assert(
      fc.property(counts, counts, (own, reference) => {
        const shift = shiftOf(BINS, 0.25, spread(own), spread(reference));
        expect(shift.displaced).toBeLessThanOrEqual(shift.values);
        expect(shift.displaced).toBeGreaterThanOrEqual(0);
        if (shift.status !== 'shifted') expect(shift.displaced).toBe(0);
      }),
    );
  });

  it('has a higher limit with few values, and ignores bins of an older catalog', () => {
    const shift = shiftOf(BINS, 0.001, spread([60, 30, 8, 2]), { ...before, old: 9_999 });
    expect(shift.referenceValues).toBe(1_000);
    expect(shift.limit).toBe(chanceLimit(4, 100, 1_000));
    expect(shift.status).toBe('stable');
  });
});
