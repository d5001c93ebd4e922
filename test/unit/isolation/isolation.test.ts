import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cacheKey } from '../../../src/cache/cache-key.ts';
import { principalKey, SCOPES, tokenHolder } from '../../../src/define/principal.ts';
import { faultyTexts } from '../../simulation/faults.ts';
import { IDS } from '../../support/isolation/catalogue.ts';
import { FAULTS } from '../../support/isolation/faults.ts';
import { isolationHolds } from '../../support/isolation/property.ts';
import { runsOf } from '../../support/node/part.ts';

/** Texts that are alike, and any others. */
const text = fc.oneof(fc.constantFrom(...IDS), fc.string({ unit: 'binary', maxLength: 8 }));
const named = <T>(value: fc.Arbitrary<T>) => fc.dictionary(text, value, { maxKeys: 3 });
const input = named(
  fc.oneof(
    text,
    fc.integer(),
    fc.bigInt(),
    fc.boolean(),
    fc.constant(null),
    fc.date({ noInvalidDate: true }),
    fc.array(text, { maxLength: 2 }),
  ),
);

describe('a cache key', () => {
  it('is equal for equal view, input and variant only', () => {
    const parts = fc.tuple(text, input, named(text));
    fc.assert(
      fc.property(parts, parts, (one, other) => {
        const [a, b] = [one, other].map(([view, asked, vary]) => cacheKey(view, asked, vary));
        expect(a === b).toBe(isSame(one, other));
      }),
      { numRuns: runsOf(2_000) },
    );
  });

  it('has the principal in full: tokens that differ in anything have different texts, and none is that of a key', () => {
    const holder = fc.record({
      id: text,
      scopes: fc.subarray([...SCOPES]),
      claims: named(text),
    });
    fc.assert(
      fc.property(holder, holder, (one, other) => {
        const [a, b] = [one, other].map(({ id, scopes, claims }) => tokenHolder(id, scopes, claims));
        if (a === undefined || b === undefined) throw new Error('There are two.');
        expect(principalKey(a) === principalKey(b)).toBe(isSame(one, other));
        expect(principalKey(a)).not.toBe(
          principalKey({ kind: 'key', id: other.id, scopes: new Set(), claims: {} }),
        );
      }),
      { numRuns: runsOf(2_000) },
    );
  });
});

/** Equality by values alone: names in any order, and 0 equals -0. */
function isSame(one: unknown, other: unknown): boolean {
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null)
    return one === other;
  if (one instanceof Date || other instanceof Date)
    return one instanceof Date && other instanceof Date && one.getTime() === other.getTime();
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  const [names, others] = [Object.keys(one), Object.keys(other)];
  return (
    names.length === others.length &&
    names.every(
      (name) => Object.hasOwn(other, name) && isSame(Reflect.get(one, name), Reflect.get(other, name)),
    )
  );
}

it('no reader gets the answer of another, in any sequence of requests and events', async () => {
  const { requests, answered, mistake } = await isolationHolds(Date.now() % 100_000, 10);
  expect(mistake).toBeUndefined();
  expect(answered).toBeGreaterThan(requests / 5);
});

it('each planted fault changes a text that stands in its file once', () => {
  for (const fault of FAULTS) expect(faultyTexts({ ...fault, seedsMax: 0 }).size).toBeGreaterThan(0);
});
