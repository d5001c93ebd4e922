import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addDigests, DigestTally, digestText } from '../../../src/features/digest.ts';
import type { Cell } from '../../../src/features/fold.ts';
import { assertWhole } from '../../../src/features/replay.ts';

const aCell: fc.Arbitrary<Cell> = fc.record({
  feature: fc.constantFrom('purchases', 'items'),
  key: fc.string({ maxLength: 4 }),
  bucket: fc.nat(20_000),
  item: fc.string({ maxLength: 4 }),
  amount: fc.integer(),
  lastAt: fc.nat(),
  state: fc.constantFrom('', 's1 1p0 0p0'),
});
function digestOf(cells: readonly Cell[]) {
  const tally = new DigestTally();
  for (const cell of cells) tally.add(cell);
  return tally.change;
}

describe('the digest of features', () => {
  it('does not depend on the order or on the shards', () => {
    fc.assert(
      fc.property(fc.array(aCell), fc.nat(), (cells, at) => {
        const cut = at % (cells.length + 1);
        const shards = [digestOf(cells.slice(cut).reverse()), digestOf(cells.slice(0, cut))];
        expect(addDigests(shards)).toEqual(digestOf(cells));
      }),
    );
  });

  it('is the same whether cells were added at once, replaced, or removed again', () => {
    fc.assert(
      fc.property(fc.array(aCell), aCell, aCell, (cells, cell, other) => {
        const tally = new DigestTally();
        for (const one of [other, ...cells, { ...cell, amount: 7, lastAt: 8 }]) tally.add(one);
        tally.remove(other);
        tally.replace({ ...cell, amount: 7, lastAt: 8 }, cell);
        expect(tally.change).toEqual(digestOf([...cells, cell]));
      }),
    );
  });

  it('differs for an additional cell, another amount, and a repeated cell', () => {
    fc.assert(
      fc.property(fc.array(aCell), aCell, (cells, cell) => {
        const text = digestText(digestOf([...cells, cell]));
        expect(text).toMatch(/^[0-9a-f]{16}$/);
        expect(text).not.toBe(digestText(digestOf(cells)));
        expect(text).not.toBe(digestText(digestOf([...cells, { ...cell, amount: cell.amount + 1 }])));
        expect(text).not.toBe(digestText(digestOf([...cells, cell, cell])));
      }),
    );
  });
});

describe('a range of history', () => {
  const pruned = [
    { target: 'events:a', rows: 3, until: '2026-01-03T00:00:00.000000Z' },
    { target: 'outbox', rows: 9, until: '2026-02-01T00:00:00.000000Z' },
  ];

  it('is refused if retention has deleted events of it, with the time from which it is complete', () => {
    expect(() => assertWhole({ types: ['a', 'b'] }, pruned)).toThrow(/3 of a.*after 2026-01-03T/);
    expect(() => assertWhole({}, pruned)).toThrow();
    expect(() => assertWhole({ from: '2026-01-03T00:00:00Z' }, pruned)).toThrow();
  });

  it('is accepted if it begins later, or has only complete types', () => {
    expect(() => assertWhole({ from: '2026-01-03T00:00:01Z' }, pruned)).not.toThrow();
    expect(() => assertWhole({ types: ['b'] }, pruned)).not.toThrow();
  });
});
