import { describe, expect, test } from 'vitest';
import type { CandidateTable, CustomerSnapshot } from '../../../catalog/ranker.ts';
import {
  meanMetrics,
  ndcgGainLowerBound,
  popularityRanker,
  repurchaseRanker,
  scoreList,
} from '../../../training/evaluation.ts';

describe('scoreList', () => {
  test('a perfect list scores 1 throughout', () => {
    expect(scoreList(['a', 'b'], new Set(['a', 'b']))).toEqual({ recall: 1, ndcg: 1, hit: 1 });
  });

  test('one of two bought, in second place', () => {
    const score = scoreList(['x', 'a', 'y'], new Set(['a', 'b']));
    expect(score).toMatchObject({ recall: 0.5, hit: 1 });
    expect(score.ndcg).toBeCloseTo(1 / Math.log2(3) / (1 + 1 / Math.log2(3)), 12);
  });

  test('a hit in eleventh place does not count', () => {
    const list = [...'0123456789a'];
    expect(scoreList(list, new Set(['a']))).toEqual({ recall: 0, ndcg: 0, hit: 0 });
  });

  test('ten of twenty bought is the best possible NDCG and half the recall', () => {
    const bought = Array.from({ length: 20 }, (_, position) => `p${position}`);
    const score = scoreList(bought.slice(0, 10), new Set(bought));
    expect(score.recall).toBe(0.5);
    expect(score.ndcg).toBeCloseTo(1, 12);
  });
});

describe('meanMetrics', () => {
  test('counts every customer the same', () => {
    const scores = [
      { recall: 1, ndcg: 0.5, hit: 1 },
      { recall: 0, ndcg: 0, hit: 0 },
    ];
    expect(meanMetrics(scores)).toEqual({ recall_at_10: 0.5, ndcg_at_10: 0.25, hit_rate_at_10: 0.5 });
    expect(meanMetrics([])).toEqual({ recall_at_10: 0, ndcg_at_10: 0, hit_rate_at_10: 0 });
  });
});

describe('ndcgGainLowerBound', () => {
  const scores = (ndcg: number[]) => ndcg.map((value) => ({ recall: 0, ndcg: value, hit: 0 }));

  test('is above 0 for a steady gain and below 0 for noise', () => {
    const zeros = scores(Array.from({ length: 50 }, () => 0));
    const steady = scores(Array.from({ length: 50 }, (_, customer) => 0.1 + (customer % 5) / 100));
    const noise = scores(Array.from({ length: 50 }, (_, customer) => (customer % 2 === 0 ? 0.5 : -0.5)));
    expect(ndcgGainLowerBound(steady, zeros, 1)).toBeGreaterThan(0.1);
    expect(ndcgGainLowerBound(noise, zeros, 1)).toBeLessThan(0);
  });
});

describe('baselines', () => {
  const facts = { buyers_91d: 1, buyers_365d: 1, repeat_rate: 0, gap_days: 0, age_days: 1 };
  const table: CandidateTable = {
    asOf: 0,
    activeBuyers: { d28: 9, d91: 9, d365: 9 },
    popular: ['A1', 'B1', 'C1'].map((sku, rank) => ({ sku, popularity: 9 - rank, ...facts })),
    neighbours: {},
  };
  const items = [
    { item: 'x', count: 1, lastAt: 5 },
    { item: 'B1', count: 3, lastAt: 1 },
  ];
  const customer: CustomerSnapshot = { purchases_30d: 4, purchases_365d: 4, last_purchase_at: 5, items };

  test('popularity gives every customer the same list; the other baseline puts repurchases first', () => {
    expect(popularityRanker(table)(customer)).toEqual(['A1', 'B1', 'C1']);
    expect(repurchaseRanker(table)(customer)).toEqual(['B1', 'x', 'A1', 'C1']);
  });
});
