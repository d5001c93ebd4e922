/** How good a ranking is on the held-out weeks, beside what it has to beat. */

import { seededRandom } from '../../../src/platform/random.ts';
import { type Network, scoreRows } from '../../../src/training/network.ts';
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
/** Resamples for the interval of a difference: enough for its 5 % quantile. */
const RESAMPLES = 400;

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

/** One customer's figures. */
export interface CaseScores {
  readonly recall: number;
  readonly ndcg: number;
  readonly hit: number;
}

/** Judges one list of distinct products, best first; `bought` must not be empty. */
export function scoreList(list: readonly string[], bought: ReadonlySet<string>): CaseScores {
  let hits = 0;
  let gain = 0;
  for (const [position, sku] of list.slice(0, TOP_K).entries()) {
    if (!bought.has(sku)) continue;
    hits += 1;
    gain += 1 / Math.log2(position + 2);
  }
  let ideal = 0;
  for (let position = 0; position < Math.min(TOP_K, bought.size); position += 1) {
    ideal += 1 / Math.log2(position + 2);
  }
  return { recall: hits / bought.size, ndcg: gain / ideal, hit: hits > 0 ? 1 : 0 };
}

/** Judges a ranker on every case. */
export function scoreRanker(cases: readonly Case[], ranker: Ranker): CaseScores[] {
  return cases.map((one) => scoreList(ranker(one.snapshot), one.bought));
}

/** Averages over customers, each counting the same; zeros without any. */
export function meanMetrics(scores: readonly CaseScores[]): RankingMetrics {
  const mean = (read: (score: CaseScores) => number) =>
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
  model: readonly CaseScores[],
  baseline: readonly CaseScores[],
  seed: number,
): number {
  const differences = model.map((score, position) => score.ndcg - (baseline[position]?.ndcg ?? 0));
  if (differences.length === 0) return 0;
  const random = seededRandom(seed);
  const means = Array.from({ length: RESAMPLES }, () => {
    let sum = 0;
    for (let draw = 0; draw < differences.length; draw += 1) {
      sum += differences[Math.floor(random() * differences.length)] ?? 0;
    }
    return sum / differences.length;
  });
  return means.sort((a, b) => a - b)[Math.floor(RESAMPLES * 0.05)] ?? 0;
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
export function networkRanker(network: Network, table: CandidateTable, now: number): Ranker {
  return (snapshot) => {
    const skus = candidatesFor(snapshot, table);
    return topByScore(skus, scoreRows(network, rankerRows(snapshot, skus, table, now)), TOP_K);
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
