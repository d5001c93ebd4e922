import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  InexactNumber,
  JSON_DEPTH_MAX,
  parseJson,
  unstorableAt,
  withoutUnstorable,
} from '../../../src/platform/json.ts';

/** The value of a decimal text as a fraction: independent of the code under test. */
function fractionOf(text: string): [numerator: bigint, power: bigint] {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([-+]?\d+))?$/.exec(text) ?? [];
  const digits = BigInt(whole + fraction) * (sign === '-' ? -1n : 1n);
  return [digits, BigInt(exponent) - BigInt(fraction.length)];
}
function isEqual(a: string, b: string): boolean {
  const [[x, p], [y, q]] = [fractionOf(a), fractionOf(b)];
  const [low = 0n] = [p, q].toSorted((a, b) => Number(a - b));
  return x * 10n ** (p - low) === y * 10n ** (q - low);
}

const decimal = fc
  .tuple(
    fc.boolean(),
    fc.oneof(fc.bigInt({ min: 0n, max: 10n ** 22n }), fc.bigInt({ min: 0n, max: 99_999n })),
    fc.option(fc.stringMatching(/^\d{1,24}$/), { nil: undefined }),
    fc.option(fc.integer({ min: -330, max: 330 }), { nil: undefined }),
  )
  .map(
    ([negative, whole, fraction, exponent]) =>
      `${negative ? '-' : ''}${whole}${fraction === undefined ? '' : `.${fraction}`}${exponent === undefined ? '' : `e${exponent}`}`,
  );

describe('JSON from outside', () => {
  it('keeps a number only if its shortest text has the value that was sent', () => {
    fc.assert(
      fc.property(decimal, (text) => {
        const { n } = parseJson(`{"s":"1e999","n": ${text} }`) as { n: unknown };
        const double = Number(text);
        const isKept = Number.isFinite(double) && isEqual(text, String(double));
        expect(n).toEqual(isKept ? double : new InexactNumber(text));
        expect(unstorableAt({ a: [n] })).toBe(isKept ? undefined : '/a/0');
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([
    ['a text with NUL', { a: [1, ['x', 'y\u0000']] }, '/a/1/1'],
    ['an unpaired surrogate', { 'a/b~c': { d: '\ud800' } }, '/a~1b~0c/d'],
    ['a number that is not finite', [0, Number.NaN], '/1'],
    ['the first of two', { a: { b: '\u0000' }, c: '\u0000' }, '/a/b'],
    ['the name of a member: its object', { a: [{ 'x\u0000': 1 }] }, '/a/0'],
    ['the value itself', '\u0000', ''],
    ['nothing else', { a: [null, true, 1, '\u{1f600}', {}, []], '': '' }, undefined],
  ])('has a pointer to %s', (_, value, pointer) => {
    expect(unstorableAt(value)).toBe(pointer);
    expect(unstorableAt(value, '/data')).toBe(pointer === undefined ? undefined : `/data${pointer}`);
  });

  it('is parsed like JSON.parse if its numbers come from doubles', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 5 }), (text) => {
        expect(parseJson(text)).toEqual(JSON.parse(text));
      }),
    );
  });

  it.each(['9007199254740993', '1e-400', '1e400', '0.1000000000000000055', '123456789012345678'])(
    'does not change %s: serialised again, it is the text that was sent',
    (text) => {
      expect(JSON.stringify(parseJson(`[${text}]`))).toBe(`["${text}"]`);
      expect(withoutUnstorable(parseJson(`{"a":${text}}`))).toEqual({ a: text });
    },
  );

  it('is refused at the first level beyond the limit; brackets within texts do not count', () => {
    const nested = (levels: number) => `${'['.repeat(levels)}"[[[["${']'.repeat(levels)}`;
    expect(() => parseJson(nested(JSON_DEPTH_MAX))).not.toThrow();
    expect(() => parseJson(nested(JSON_DEPTH_MAX + 1))).toThrow(SyntaxError);
    for (const text of ['', '{', '"', '"\\', '-', '1e', '[1,]', '{"a"}', '01'])
      expect(() => parseJson(text)).toThrow(SyntaxError);
  });
});
