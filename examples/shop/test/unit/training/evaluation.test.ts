import { describe, expect, test } from 'vitest';
import type { CandidateTable, CustomerSnapshot } from '../../../catalog/ranker.ts';
import {
  meanMetrics,
  ndcgGainLowerBound,
  popularityRanker,
  repurchaseRanker,
} from '../../../training/evaluation.ts';

describe('meanMetrics', () => {
  test('counts every customer the same', () => {
    const scores = [
      { recall: 1, ndcg: 0.5, hit: 1, reciprocalRank: 1 },
      { recall: 0, ndcg: 0, hit: 0, reciprocalRank: 0 },
    ];
    expect(meanMetrics(scores)).toEqual({ recall_at_10: 0.5, ndcg_at_10: 0.25, hit_rate_at_10: 0.5 });
    expect(meanMetrics([])).toEqual({ recall_at_10: 0, ndcg_at_10: 0, hit_rate_at_10: 0 });
  });
});

describe('ndcgGainLowerBound', () => {
  const scores = (ndcg: number[]) =>
    ndcg.map((value) => ({ recall: 0, ndcg: value, hit: 0, reciprocalRank: 0 }));

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
