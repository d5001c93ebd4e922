import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../src/platform/random.ts';
import { bySegment, intervalOf, meanOf } from '../../../src/training/measures/measure.ts';
import { maeOf, rmseOf } from '../../../src/training/measures/number.ts';
import {
  aucOf,
  brierOf,
  eceOf,
  logLossOf,
  reliabilityOf,
} from '../../../src/training/measures/probability.ts';
import { coverageOf, judgeList } from '../../../src/training/measures/ranking.ts';

const ones = (of: { readonly length: number }) => new Float64Array(of.length).fill(1);

describe('AUC', () => {
  it('is the share of pairs that are in order, a tie counting half', () => {
    const row = fc.tuple(
      fc.integer({ min: 0, max: 5 }),
      fc.integer({ min: 0, max: 1 }),
      fc.integer({ min: 0, max: 3 }),
    );
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 30 }), (rows) => {
        let [won, pairs] = [0, 0];
        for (const [score, label, weight] of rows)
          for (const [other, zero, otherWeight] of rows) {
            if (label !== 1 || zero !== 0) continue;
            pairs += weight * otherWeight;
            won += weight * otherWeight * (score > other ? 1 : score === other ? 0.5 : 0);
          }
        const [scores, labels, weights] = [0, 1, 2].map((at) => rows.map((of) => of[at] ?? 0));
        const given = aucOf(scores ?? [], labels ?? [])(weights ?? []);
        if (pairs === 0) expect(given).toBeUndefined();
        else expect(given).toBeCloseTo(won / pairs, 12);
      }),
    );
  });
});

describe('measures of probabilities', () => {
  const [probabilities, labels] = [
    [0.05, 0.15, 0.15, 0.95, 1],
    [0, 0, 1, 1, 1],
  ];

  it('are those of a case by hand', () => {
    const loss = -(Math.log(0.95) + Math.log(0.85) + Math.log(0.15) + Math.log(0.95)) / 5;
    expect(logLossOf(probabilities, labels)(ones(labels))).toBeCloseTo(loss, 12);
    expect(brierOf(probabilities, labels)(ones(labels))).toBeCloseTo(
      (0.0025 + 0.0225 + 0.7225 + 0.0025) / 5,
      12,
    );
    // Bins of 0 to 0.1 (off by 0.05), 0.1 to 0.2 (two rows: 0.15 for a share of 0.5), 0.9 to 1 (two rows: 0.975 for 1).
    expect(eceOf(probabilities, labels)(ones(labels))).toBeCloseTo((0.05 + 2 * 0.35 + 2 * 0.025) / 5, 12);
    const curve = reliabilityOf(probabilities, labels, ones(labels));
    expect(curve).toHaveLength(10);
    expect(curve[1]).toEqual({ from: 0.1, to: 0.2, weight: 2, predicted: 0.15, observed: 0.5 });
    expect(curve[5]).toEqual({ from: 0.5, to: 0.6, weight: 0, predicted: undefined, observed: undefined });
  });

  it('are finite where a prediction is sure and wrong', () => {
    expect(logLossOf([0, 1], [1, 0])([1, 1])).toBeCloseTo(52 * Math.LN2, 9);
  });

  it('have no value without rows that count', () => {
    for (const measure of [logLossOf, brierOf, eceOf, aucOf])
      expect(measure(probabilities, labels)([0, 0, 0, 0, 0])).toBeUndefined();
  });
});

it('measures of numbers are those of a case by hand', () => {
  expect(rmseOf([1, 2, 5], [1, 4, 4])([1, 1, 2])).toBeCloseTo(Math.sqrt((4 + 2) / 4), 12);
  expect(maeOf([1, 2, 5], [1, 4, 4])([1, 1, 2])).toBeCloseTo((2 + 2) / 4, 12);
});

it('measures of lists are those of a case by hand', () => {
  const figures = judgeList(['a', 'b', 'c', 'd'], new Set(['b', 'd', 'x']), 3);
  expect(figures).toEqual({
    recall: 1 / 3,
    ndcg: 1 / Math.log2(3) / (1 + 1 / Math.log2(3) + 1 / 2),
    hit: 1,
    reciprocalRank: 1 / 2,
  });
  expect(judgeList(['a'], new Set(['b']), 3)).toEqual({ recall: 0, ndcg: 0, hit: 0, reciprocalRank: 0 });
  expect(judgeList(['b', 'a'], new Set(['a', 'b']), 10)).toEqual({
    recall: 1,
    ndcg: 1,
    hit: 1,
    reciprocalRank: 1,
  });
  expect(
    coverageOf(
      [
        ['a', 'b', 'c'],
        ['b', 'd'],
      ],
      8,
      2,
    ),
  ).toBe(3 / 8);
});

describe('the interval of a measure', () => {
  const random = seededRandom(3);
  const values = Float64Array.from({ length: 400 }, () => random() + random());

  it('is the same for the same seed, and about that of the normal distribution', () => {
    const interval = intervalOf(meanOf(values), ones(values), { seed: 1 });
    expect(intervalOf(meanOf(values), ones(values), { seed: 1 })).toEqual(interval);
    expect(intervalOf(meanOf(values), ones(values), { seed: 2 })).not.toEqual(interval);
    const mean = values.reduce((sum, value) => sum + value, 0) / 400;
    const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 400);
    expect(interval?.value).toBeCloseTo(mean, 12);
    expect(interval?.low).toBeCloseTo(mean - (1.96 * deviation) / 20, 2);
    expect(interval?.high).toBeCloseTo(mean + (1.96 * deviation) / 20, 2);
  });

  it('covers the truth about as often as it says', () => {
    let covered = 0;
    for (let seed = 1; seed <= 200; seed += 1) {
      const draws = seededRandom(seed);
      const sample = Float64Array.from({ length: 80 }, () => draws());
      const { low = 1, high = 0 } =
        intervalOf(meanOf(sample), ones(sample), { seed, resamples: 200, level: 0.9 }) ?? {};
      if (low <= 0.5 && high >= 0.5) covered += 1;
    }
    expect(covered).toBeGreaterThan(200 * 0.83);
    expect(covered).toBeLessThan(200 * 0.96);
  });

  it('is wider where the rows of a unit are alike', () => {
    const units = Uint32Array.from(values, (_, row) => Math.floor(row / 20));
    const alike = values.map((_, row) => values[Math.floor(row / 20)] ?? 0);
    const width = (of: { low: number; high: number } | undefined) =>
      of === undefined ? 0 : of.high - of.low;
    const free = width(intervalOf(meanOf(alike), ones(alike), { seed: 1 }));
    expect(width(intervalOf(meanOf(alike), ones(alike), { seed: 1, units }))).toBeGreaterThan(3 * free);
  });

  it('of a segment is that of its rows alone', () => {
    const segments = Array.from(values, (_, row) => (row % 4 === 0 ? 'new' : 'known'));
    const made = bySegment(meanOf(values), segments, ones(values), { seed: 1 });
    expect([...made.keys()]).toEqual(['known', 'new']);
    const own = values.filter((_, row) => row % 4 === 0);
    expect(made.get('new')?.value).toBeCloseTo(own.reduce((sum, value) => sum + value, 0) / 100, 12);
    const { low = 0, high = 0 } = made.get('new') ?? {};
    const { low: knownLow = 0, high: knownHigh = 0 } = made.get('known') ?? {};
    expect(high - low).toBeGreaterThan(knownHigh - knownLow);
  });
});
