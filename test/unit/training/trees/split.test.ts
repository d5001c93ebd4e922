import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { binColumns, bordersOf } from '../../../../src/training/trees/bins.ts';
import { startTrees, stepTrees } from '../../../../src/training/trees/boost.ts';

const anyFloat = fc.oneof(
  fc.float({ noDefaultInfinity: true }),
  fc.integer({ min: -3, max: 3 }),
  fc.constant(Number.NaN),
);

describe('bordersOf', () => {
  it('gives each value a bin of its own if there are enough bins', () => {
    fc.assert(
      fc.property(fc.array(anyFloat, { maxLength: 60 }), (numbers) => {
        const values = Float32Array.from(numbers);
        const distinct = new Set(
          [...values].filter((value) => !Number.isNaN(value)).map((value) => value + 0),
        );
        const { bins, borders } = binColumns([values], values.length, 255);
        expect(borders[0]?.length).toBe(Math.max(1, distinct.size));
        for (const [a, one] of values.entries())
          for (const [b, other] of values.entries()) {
            if (Number.isNaN(one) || Number.isNaN(other)) continue;
            expect(Math.sign((bins[a] ?? 0) - (bins[b] ?? 0))).toBe(Math.sign(one - other) + 0);
          }
      }),
    );
  });

  it('has at most as many bins as it may, in order, and none that is much fuller than the others', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 20 }),
        fc.array(fc.integer({ min: 0, max: 5_000 }), { minLength: 400, maxLength: 600 }),
        (max, numbers) => {
          const values = Float32Array.from(numbers);
          const borders = bordersOf(values, max);
          expect(borders.length).toBeLessThanOrEqual(max);
          expect([...borders].sort((a, b) => a - b)).toEqual([...borders]);
          const counts = new Array<number>(borders.length).fill(0);
          for (const bin of binColumns([values], values.length, max).bins)
            counts[bin] = (counts[bin] ?? 0) + 1;
          expect(Math.min(...counts)).toBeGreaterThan(0);
          expect(Math.max(...counts)).toBeLessThan((2.5 * values.length) / max);
        },
      ),
    );
  });

  it('gives a frequent value a bin of its own', () => {
    const values = Float32Array.from({ length: 1_000 }, (_, row) => (row % 2 === 0 ? 500.5 : row));
    const { bins } = binColumns([values], 1_000, 8);
    const own = bins[0];
    expect([...values.keys()].filter((row) => bins[row] === own).every((row) => row % 2 === 0)).toBe(true);
  });

  it('decides the borders by the rows that are learned from alone', () => {
    const { borders, bins } = binColumns([Float32Array.of(1, 2, 3, 90, 80)], 3, 10);
    expect([...(borders[0] ?? [])]).toEqual([1.5, 2.5, Math.fround(3.402_823_466_385_288_6e38)]);
    expect([...bins]).toEqual([0, 1, 2, 2, 2]);
  });
});

/** The lowest squared error that one comparison reaches, by trying all of them. */
function lowestLoss(values: readonly number[], labels: readonly number[], leafRows: number): number {
  const rows = values.map((value, at) => ({ value, label: labels[at] ?? 0 }));
  const error = (side: readonly { label: number }[]) => {
    const mean = side.reduce((sum, { label }) => sum + label, 0) / side.length;
    return side.reduce((sum, { label }) => sum + (label - mean) ** 2, 0);
  };
  let lowest = error(rows);
  for (const threshold of [...values.filter((value) => !Number.isNaN(value)), Number.NEGATIVE_INFINITY])
    for (const missingLeft of [false, true]) {
      const isLeft = ({ value }: { value: number }) =>
        Number.isNaN(value) ? missingLeft : value <= threshold;
      const sides = [rows.filter(isLeft), rows.filter((row) => !isLeft(row))];
      if (sides.every((side) => side.length >= leafRows))
        lowest = Math.min(
          lowest,
          sides.reduce((sum, side) => sum + error(side), 0),
        );
    }
  return lowest / rows.length;
}

describe('a tree of two leaves', () => {
  it('has the lowest loss of all that one comparison can reach', () => {
    const row = fc.tuple(
      fc.oneof(fc.integer({ min: -4, max: 4 }), fc.constant(Number.NaN)),
      fc.integer({ min: 0, max: 9 }),
    );
    fc.assert(
      fc.property(
        fc.array(row, { minLength: 8, maxLength: 40 }),
        fc.integer({ min: 1, max: 4 }),
        (rows, leafRows) => {
          const [values, labels] = [rows.map(([value]) => value), rows.map(([, label]) => label)];
          fc.pre(new Set(labels).size > 1);
          const set = {
            names: ['c'],
            columns: [Float32Array.from(values)],
            labels: Float32Array.from(labels),
            trainingRows: rows.length,
          };
          const recipe = {
            kind: 'trees',
            task: 'regression',
            trees: 1,
            leaves: 2,
            learningRate: 1,
            leafRows,
          };
          const state = stepTrees(startTrees(recipe, set, 1));
          const mean = labels.reduce((sum, label) => sum + label, 0) / labels.length;
          const unsplit = labels.reduce((sum, label) => sum + (label - mean) ** 2, 0) / labels.length;
          expect(state.losses[0]?.training ?? unsplit).toBeCloseTo(lowestLoss(values, labels, leafRows), 4);
        },
      ),
    );
  });
});
