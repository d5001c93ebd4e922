import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { compatibility } from '../../../../src/pipeline/contracts/compatible.ts';
import { breakingOf } from '../../../../src/pipeline/contracts/finding.ts';
import type { JsonSchema } from '../../../../src/pipeline/contracts/json-schema.ts';
import { runsOf } from '../../../support/node/part.ts';
import { type Grammar, grammar, instanceOf, schemaOf } from './grammar.ts';
import { CHANGES, LOOSENING, mutated } from './mutation.ts';

/** As the catalog makes it. */
const json = (schema: z.ZodType): JsonSchema => z.toJSONSchema(schema, { io: 'input' }) as JsonSchema;
const change = fc.record({ where: fc.nat(30), what: fc.nat(200), replacement: grammar });

/** Where exactly one alternative has to hold, one that takes less leaves more to the others. */
const isExclusive = (node: Grammar) => JSON.stringify(node).includes('"exclusive"');

/** Values that are valid under the one schema and not under the other. */
function refusedNow(old: z.ZodType, now: z.ZodType, from: readonly Grammar[], seed: number): unknown[] {
  const values = from.flatMap((node) => fc.sample(instanceOf(node), { numRuns: 40, seed }));
  return values.filter((value) => old.safeParse(value).success && !now.safeParse(value).success);
}

describe('a compatible schema', () => {
  const RUNS = runsOf(3_000);

  it('refuses no data that was valid before', () => {
    let compatible = 0;
    fc.assert(
      fc.property(
        grammar,
        fc.array(change, { minLength: 1, maxLength: 3 }),
        fc.nat(),
        (old, changes, seed) => {
          const now = changes.reduce((node, one) => mutated(node, one, CHANGES), old);
          const findings = compatibility(json(schemaOf(old)), json(schemaOf(now)));
          if (breakingOf(findings) > 0) return;
          compatible += 1;
          // What is assumed holds where no object takes members of which its schema does not speak.
          const before = schemaOf(old, findings.length > 0);
          expect(refusedNow(before, schemaOf(now), [old, now], seed)).toEqual([]);
        },
      ),
      { numRuns: RUNS },
    );
    // Otherwise this has shown little.
    expect(compatible).toBeGreaterThan(RUNS / 10);
  });

  it('may have new optional properties that the old schema did not mention', () => {
    fc.assert(
      fc.property(fc.array(grammar, { maxLength: 3 }), grammar, fc.nat(), (values, added, seed) => {
        fc.pre(!values.some(isExclusive));
        const members = Object.fromEntries(
          values.map((value, index) => [`m${index}`, { optional: false, value }]),
        );
        const old: Grammar = { is: 'object', others: 'unspoken', members };
        const now: Grammar = { ...old, members: { ...members, a: { optional: true, value: added } } };
        const findings = compatibility(json(schemaOf(old)), json(schemaOf(now)));
        // None at all where the new property may be anything.
        expect(findings.map(({ rule, pointer }) => `${rule} ${pointer}`)).toEqual(
          findings.map(() => 'property_added /properties/a'),
        );
        expect(breakingOf(findings)).toBe(0);
        expect(refusedNow(schemaOf(old, true), schemaOf(now), [old, now], seed)).toEqual([]);
      }),
    );
  });

  it('may loosen the old schema', () => {
    fc.assert(
      fc.property(grammar, fc.array(change, { maxLength: 3 }), (old, changes) => {
        fc.pre(![old, ...changes.map(({ replacement }) => replacement)].some(isExclusive));
        const now = changes.reduce((node, one) => mutated(node, one, LOOSENING), old);
        expect(compatibility(json(schemaOf(old)), json(schemaOf(now)))).toEqual([]);
      }),
      { numRuns: runsOf(2_000) },
    );
  });

  it('may be the old schema itself', () => {
    fc.assert(
      fc.property(grammar, (node) => {
        expect(compatibility(json(schemaOf(node)), json(schemaOf(node)))).toEqual([]);
      }),
    );
  });
});
