import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  CACHE_KEY_CHARACTERS_MAX,
  cacheKey,
  VARY_DIMENSIONS_MAX,
  varyOn,
} from '../../../src/cache/cache-key.ts';

/** Few and awkward texts, so that different inputs are often nearly equal. */
const text = fc.oneof(
  fc.constantFrom(
    '',
    'a',
    'b',
    '1',
    '@1',
    '1n',
    'null',
    '"',
    '\\',
    ',',
    ':',
    '{}',
    '[]',
    '__proto__',
    '\ud800',
  ),
  fc.string({ unit: 'binary', maxLength: 4 }),
);
const scalar = fc.oneof(
  text,
  fc.constantFrom(null, true, false, 0, 1, -1, 1.5, 1e21, 1n, -1n, new Date(1), new Date(-1)),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0),
);
const { input } = fc.letrec((tie) => ({
  input: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalar,
    fc.array(tie('input'), { maxLength: 3 }),
    fc.dictionary(text, tie('input'), { maxKeys: 3, noNullPrototype: true }),
  ),
}));
const vary = fc.dictionary(text, text, { maxKeys: 2, noNullPrototype: true });

/** The same value with the properties of every object in another order. */
function permuted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(permuted);
  if (value === null || typeof value !== 'object' || value instanceof Date) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([name, member]) => [name, permuted(member)]),
  );
}

describe('a cache key', () => {
  it('is the same for the same input in any order of its properties', () => {
    fc.assert(
      fc.property(text, input, vary, (view, value, dimensions) => {
        const key = cacheKey(view, value, dimensions);
        expect(cacheKey(view, permuted(value), permuted(dimensions) as Record<string, string>)).toBe(key);
        expect(cacheKey(view, structuredClone(value), { ...dimensions })).toBe(key);
      }),
    );
  });

  it('is different for every difference in view, input or dimensions', () => {
    const parts = fc.tuple(text, input, vary);
    fc.assert(
      fc.property(parts, parts, (one, other) => {
        expect(cacheKey(...one) === cacheKey(...other)).toBe(isDeepStrictEqual(one, other));
      }),
      { numRuns: 5_000 },
    );
  });

  it('is different for inputs that differ in one place', () => {
    fc.assert(
      fc.property(input, text, scalar, scalar, (around, name, a, b) => {
        const same = isDeepStrictEqual(a, b);
        for (const wrap of [(x: unknown) => [around, x], (x: unknown) => ({ around, in: { [name]: x } })])
          expect(cacheKey('v', wrap(a), {}) === cacheKey('v', wrap(b), {})).toBe(same);
      }),
      { numRuns: 2_000 },
    );
  });

  it('distinguishes inputs that are easily confused', () => {
    const inputs = [
      '1',
      1,
      1n,
      new Date(1),
      '@1',
      '1n',
      [1],
      { 1: 1 },
      [],
      {},
      null,
      'null',
      '',
      [''],
      [[], []],
      [[[]]],
    ];
    expect(new Set(inputs.map((value) => cacheKey('v', value, {}))).size).toBe(inputs.length);
    expect(cacheKey('v', { currency: 'EUR' }, {})).not.toBe(cacheKey('v', {}, { currency: 'EUR' }));
    expect(cacheKey('v', { a: 'b","c":"d' }, {})).not.toBe(cacheKey('v', { a: 'b', c: 'd' }, {}));
  });

  it('is readable, and treats absent and undefined, and 0 and -0, as equal', () => {
    expect(cacheKey('product', { sku: '85123A' }, {})).toBe('view/["product",{"sku":"85123A"},{}]');
    expect(cacheKey('v', { a: undefined, b: -0 }, {})).toBe(cacheKey('v', { b: 0 }, {}));
  });

  it('is refused as a bad request if it would be too long', () => {
    const overhead = cacheKey('v', '', {}).length;
    const longest = 'x'.repeat(CACHE_KEY_CHARACTERS_MAX - overhead);
    expect(cacheKey('v', longest, {})).toHaveLength(CACHE_KEY_CHARACTERS_MAX);
    expect(() => cacheKey('v', `${longest}x`, {})).toThrow(
      expect.objectContaining({ code: 'invalid_request', message: expect.stringContaining('4096') }),
    );
  });

  it('is refused for a value without a canonical form', () => {
    const cycle: Record<string, unknown> = {};
    cycle['self'] = cycle;
    const refused = [
      undefined,
      [undefined],
      new Array(1),
      Number.NaN,
      Number.POSITIVE_INFINITY,
      () => 1,
      Symbol('s'),
      new Date(Number.NaN),
      new Map(),
      new Set([1]),
      /x/,
      Uint8Array.of(1),
      cycle,
    ];
    for (const value of refused) expect(() => cacheKey('v', value, {})).toThrow(TypeError);
  });
});

describe('varying', () => {
  it('uses only the declared dimensions', () => {
    fc.assert(
      fc.property(fc.uniqueArray(text, { maxLength: VARY_DIMENSIONS_MAX }), vary, (declared, offered) => {
        const taken = varyOn(declared, offered);
        for (const [dimension, value] of Object.entries(offered))
          expect(Object.hasOwn(taken, dimension) ? taken[dimension] : undefined).toBe(
            declared.includes(dimension) ? value : undefined,
          );
        expect(Object.keys(taken).every((dimension) => Object.hasOwn(offered, dimension))).toBe(true);
      }),
    );
  });

  it('distinguishes an absent dimension from an empty one, and ignores prototypes', () => {
    const absent = varyOn(['currency'], {});
    expect(cacheKey('v', {}, absent)).not.toBe(cacheKey('v', {}, varyOn(['currency'], { currency: '' })));
    expect(varyOn(['toString', 'constructor'], {})).toEqual({});
    expect(cacheKey('v', {}, varyOn(['currency'], { 'user-agent': 'x', currency: 'EUR' }))).toBe(
      cacheKey('v', {}, { currency: 'EUR' }),
    );
  });

  it('is bounded', () => {
    const many = Array.from({ length: VARY_DIMENSIONS_MAX + 1 }, (_, index) => `d${index}`);
    expect(() => varyOn(many, {})).toThrow(RangeError);
  });
});
