import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  added,
  ExactSum,
  exact,
  exactOf,
  multipleLessSquare,
  nearest,
  parseExact,
  scaledOf,
  squared,
  textOf,
  ZERO,
} from '../../../../src/features/algebra/exact.ts';

const double = fc.double({ noNaN: true, noDefaultInfinity: true });

describe('exact numbers', () => {
  it('are each double, and return it', () => {
    fc.assert(
      fc.property(double, (value) => {
        expect(nearest(exactOf(value))).toBe(value === 0 ? 0 : value);
        expect(parseExact(textOf(exactOf(value)))).toEqual(exactOf(value));
      }),
      { numRuns: 1_000 },
    );
    for (const edge of [Number.MIN_VALUE, 2 ** -1022, 2 ** -1022 - 2 ** -1074, Number.MAX_VALUE, -1])
      expect(nearest(exactOf(edge))).toBe(edge);
    expect(() => exactOf(Number.NaN)).toThrow(RangeError);
  });

  it('have one sum in whatever order, even where doubles lose terms', () => {
    const sumOf = (values: readonly number[]) => values.map(exactOf).reduce(added, ZERO);
    expect(nearest(sumOf([1e308, 1, -1e308, 2 ** -1074]))).toBe(1);
    expect(nearest(sumOf(Array.from({ length: 10 }, () => 0.1)))).toBe(1);
    fc.assert(
      fc.property(fc.array(double, { maxLength: 30 }), fc.nat(), (values, seed) => {
        const other = [...values].sort((a, b) => ((a * 7919 + seed) % 101) - ((b * 7919 + seed) % 101));
        const halves = added(sumOf(other.slice(0, 9)), sumOf(other.slice(9)));
        expect(textOf(halves)).toBe(textOf(sumOf(values)));
      }),
    );
  });

  it('have the same sum without the one form of each step, after every term', () => {
    fc.assert(
      fc.property(fc.array(double, { maxLength: 30 }), (values) => {
        const sum = new ExactSum();
        let expected = ZERO;
        for (const value of values) {
          sum.add(exactOf(value));
          expected = added(expected, exactOf(value));
          expect(sum.total).toEqual(expected);
        }
      }),
    );
  });

  it('are read back from their text, of whatever length', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: -(2n ** 120n), max: 2n ** 120n }),
        fc.integer({ min: -2_000, max: 2_000 }),
        (m, e) => {
          for (const mantissa of [m, m >> 64n, m >> 68n, m >> 72n])
            expect(parseExact(textOf({ mantissa, exponent: e }))).toEqual({ mantissa, exponent: e });
        },
      ),
    );
  });

  it('are rounded as the machine rounds a quotient, a product and a difference', () => {
    const whole = fc.maxSafeInteger();
    fc.assert(
      fc.property(whole, whole, double, double, (a, b, c, d) => {
        if (b !== 0) expect(nearest(exactOf(b < 0 ? -a : a), BigInt(Math.abs(b)))).toBeCloseTo(a / b, 300);
        if (b !== 0) expect(nearest(exactOf(b < 0 ? -a : a), BigInt(Math.abs(b)))).toBe(a / b + 0);
        expect(nearest(squared(exactOf(c)))).toBe(c * c);
        expect(nearest(added(exactOf(c), exactOf(d)))).toBe(c + d + 0);
      }),
      { numRuns: 1_000 },
    );
    expect(nearest(exactOf(5e-324), 2n)).toBe(0);
    expect(nearest(exactOf(1.5e-323), 2n)).toBe(1e-323);
    expect(nearest(exact(1n, 1024))).toBe(Number.POSITIVE_INFINITY);
    expect(nearest(multipleLessSquare(3n, exactOf(14), exactOf(6)))).toBe(6);
  });

  it('take decimals by their text, and round further places half to even', () => {
    expect(['0.1', '-12.345', '12.355', '1e-7', '1.5e+3', '2.675'].map((text) => scaledOf(text, 2))).toEqual([
      10n,
      -1234n,
      1236n,
      0n,
      150_000n,
      268n,
    ]);
    expect(() => scaledOf('ten', 2)).toThrow(RangeError);
    fc.assert(
      fc.property(fc.maxSafeInteger(), (cents) => {
        const text = `${cents < 0 ? '-' : ''}${BigInt(Math.abs(cents)) / 100n}.${String(Math.abs(cents) % 100).padStart(2, '0')}`;
        expect(scaledOf(text, 2)).toBe(BigInt(cents));
      }),
    );
  });
});
