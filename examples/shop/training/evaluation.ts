/** How good a ranking is on the held-out weeks, beside what it has to beat. */

import { intervalOf, meanOf } from '../../../src/training/measures/measure.ts';
import { judgeList, type ListFigures } from '../../../src/training/measures/ranking.ts';
import {
  type CandidateTable,
  type CustomerSnapshot,
  candidatesFor,
  isProduct,
  rankerRows,
  topByScore,
} from '../catalog/ranker.ts';
import type { Case } from './dataset.ts';

/** Length of the judged list. */
export const TOP_K = 10;
/** The share of the two-sided interval whose lower end is that of the one-sided 95 % interval. */
const LEVEL = 0.9;

/** Means over the customers that bought something in the held-out weeks; each 0 to 1. */
export interface RankingMetrics {
  /** The share of a customer's bought products that are in the first ten. */
  readonly recall_at_10: number;
  /** Discounted gain with binary relevance, by the best order possible (Järvelin and Kekäläinen, 2002). */
  readonly ndcg_at_10: number;
  /** Whether the first ten hold any bought product. */
  readonly hit_rate_at_10: number;
}

/** A way to answer a customer. */
export type Ranker = (snapshot: CustomerSnapshot) => string[];

/** Scores of rows of the input tensor, as serving computes them. */
export type RowScorer = (features: Float32Array) => Float32Array;

/** Judges a ranker on every case. */
export function scoreRanker(cases: readonly Case[], ranker: Ranker): ListFigures[] {
  return cases.map((one) => judgeList(ranker(one.snapshot), one.bought, TOP_K));
}

/** Averages over customers, each counting the same; zeros without any. */
export function meanMetrics(scores: readonly ListFigures[]): RankingMetrics {
  const mean = (read: (score: ListFigures) => number) =>
    scores.length === 0 ? 0 : scores.reduce((sum, score) => sum + read(score), 0) / scores.length;
  return {
    recall_at_10: mean((score) => score.recall),
    ndcg_at_10: mean((score) => score.ndcg),
    hit_rate_at_10: mean((score) => score.hit),
  };
}

/**
 * The lower end of the one-sided 95 % interval of the mean NDCG difference, by resampling customers in pairs
 * (bootstrap). Above 0, the difference is not an accident of who bought in these weeks.
 */
export function ndcgGainLowerBound(
  model: readonly ListFigures[],
  baseline: readonly ListFigures[],
  seed: number,
): number {
  const differences = model.map((score, position) => score.ndcg - (baseline[position]?.ndcg ?? 0));
  const weights = new Uint8Array(differences.length).fill(1);
  return intervalOf(meanOf(differences), weights, { seed, level: LEVEL })?.low ?? 0;
}

/** The baseline to beat: every customer gets the products with the most buyers in the 28 days before the cutoff. */
export function popularityRanker(table: CandidateTable): Ranker {
  const best = table.popular.slice(0, TOP_K).map((product) => product.sku);
  return () => best;
}

/** The stronger baseline: the customer's own products, most often bought first (ties: newest), then popular ones. */
export function repurchaseRanker(table: CandidateTable): Ranker {
  const popular = table.popular.slice(0, TOP_K).map((product) => product.sku);
  return (snapshot) => {
    const own = snapshot.items
      .filter((item) => isProduct(item.item))
      .sort((a, b) => b.count - a.count || b.lastAt - a.lastAt);
    return [...new Set([...own.slice(0, TOP_K).map((item) => item.item), ...popular])].slice(0, TOP_K);
  };
}

/** The model, exactly as serving uses it. */
export function modelRanker(scores: RowScorer, table: CandidateTable, now: number): Ranker {
  return (snapshot) => {
    const skus = candidatesFor(snapshot, table);
    return topByScore(skus, scores(rankerRows(snapshot, skus, table, now)), TOP_K);
  };
}

/** The share of bought products that were among the candidates: no ranking of them can recall more. */
export function candidateRecall(cases: readonly Case[], table: CandidateTable): number {
  const shares = cases.map((one) => {
    const candidates = new Set(candidatesFor(one.snapshot, table));
    return [...one.bought].filter((sku) => candidates.has(sku)).length / one.bought.size;
  });
  return shares.length === 0 ? 0 : shares.reduce((sum, share) => sum + share, 0) / shares.length;
}
