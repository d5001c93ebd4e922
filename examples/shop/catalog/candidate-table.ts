/** Builds the static candidate table: popularity and co-purchase neighbours as of a moment. */
import type { EntityItems, ItemEvent } from '../../../src/define/candidates.ts';
import {
  type CandidateProduct,
  type CandidateTable,
  compareText,
  DAY_MS,
  isProduct,
  MAX_NEIGHBOURS,
  MAX_TABLE_PRODUCTS,
} from './ranker.ts';

/** Products and neighbours kept; the defaults are the limits of the serving side. */
export interface TableLimits {
  readonly products: number;
  readonly neighbours: number;
}

/** Beyond a dozen neighbours no more bought products are found, and the artifact grows. */
export const TABLE_LIMITS: TableLimits = { products: MAX_TABLE_PRODUCTS, neighbours: 12 };
/** The table looks back one year. */
const LOOKBACK_DAYS = 365;
/** A customer's newest distinct products that count for co-purchase: a wholesaler who buys everything says little. */
const MAX_BASKET = 256;
/** Added to the denominator of a similarity, so that pairs seen once or twice do not look certain. */
const SIMILARITY_SHRINKAGE = 4;

interface ProductTally {
  readonly sku: string;
  buyers28: number;
  buyers91: number;
  buyers365: number;
  repeaters: number;
  gaps: number;
  gapDays: number;
  firstAt: number;
}

/**
 * The table as of `asOf`, of the purchases of each customer before it.
 *
 * Similarity of two products is the shrunken cosine over customers, each customer weighing less the more
 * products they bought (1 / √n); 0 to 1, rounded to three decimals so that the artifact is small and training
 * sees exactly what serving will.
 */
export function buildCandidateTable(
  history: Iterable<EntityItems>,
  asOf: number,
  limits: TableLimits = { products: MAX_TABLE_PRODUCTS, neighbours: MAX_NEIGHBOURS },
): CandidateTable {
  const tallies = new Map<string, ProductTally>();
  const active = { d28: 0, d91: 0, d365: 0 };
  const baskets: string[][] = [];
  for (const { events } of history) {
    const last = events.at(-1);
    if (last === undefined || last.at < asOf - LOOKBACK_DAYS * DAY_MS) continue;
    active.d365 += 1;
    if (last.at >= asOf - 91 * DAY_MS) active.d91 += 1;
    if (last.at >= asOf - 28 * DAY_MS) active.d28 += 1;
    baskets.push(tallyCustomer(events, asOf, tallies));
  }
  const kept = [...tallies.values()]
    .sort(
      (a, b) =>
        b.buyers28 - a.buyers28 ||
        b.buyers91 - a.buyers91 ||
        b.buyers365 - a.buyers365 ||
        compareText(a.sku, b.sku),
    )
    .slice(0, limits.products);
  return {
    asOf,
    activeBuyers: active,
    popular: kept.map((tally) => productOf(tally, asOf)),
    neighbours: neighboursOf(
      kept.map((tally) => tally.sku),
      baskets,
      limits.neighbours,
    ),
  };
}

/** Adds one customer to the tallies and returns their newest distinct products. */
function tallyCustomer(
  lines: readonly ItemEvent[],
  asOf: number,
  tallies: Map<string, ProductTally>,
): string[] {
  const visits = new Map<string, number[]>();
  for (const line of lines) {
    if (!isProduct(line.item)) continue;
    const tally = tallies.get(line.item) ?? newTally(line);
    tally.firstAt = Math.min(tally.firstAt, line.at);
    tallies.set(line.item, tally);
    if (line.at < asOf - LOOKBACK_DAYS * DAY_MS) continue;
    const times = visits.get(line.item);
    if (times === undefined) visits.set(line.item, [line.at]);
    else if (line.at - (times.at(-1) ?? 0) >= DAY_MS) times.push(line.at);
  }
  const newest: { sku: string; at: number }[] = [];
  for (const [sku, times] of visits) {
    const tally = tallies.get(sku);
    const first = times[0];
    const last = times.at(-1);
    if (tally === undefined || first === undefined || last === undefined) continue;
    newest.push({ sku, at: last });
    tally.buyers365 += 1;
    if (last >= asOf - 91 * DAY_MS) tally.buyers91 += 1;
    if (last >= asOf - 28 * DAY_MS) tally.buyers28 += 1;
    if (times.length < 2) continue;
    tally.repeaters += 1;
    tally.gaps += times.length - 1;
    tally.gapDays += (last - first) / DAY_MS;
  }
  newest.sort((a, b) => b.at - a.at || compareText(a.sku, b.sku));
  return newest.slice(0, MAX_BASKET).map((entry) => entry.sku);
}

function newTally(line: ItemEvent): ProductTally {
  const zero = { buyers28: 0, buyers91: 0, buyers365: 0, repeaters: 0, gaps: 0, gapDays: 0 };
  return { sku: line.item, ...zero, firstAt: line.at };
}

function productOf(tally: ProductTally, asOf: number): CandidateProduct {
  return {
    sku: tally.sku,
    popularity: tally.buyers28,
    buyers_91d: tally.buyers91,
    buyers_365d: tally.buyers365,
    repeat_rate: tally.buyers365 === 0 ? 0 : round(tally.repeaters / tally.buyers365, 3),
    gap_days: tally.gaps === 0 ? 0 : round(tally.gapDays / tally.gaps, 1),
    age_days: Math.floor((asOf - tally.firstAt) / DAY_MS),
  };
}

function round(value: number, decimals: number): number {
  const scale = 10 ** decimals;
  return Math.round(value * scale) / scale;
}

function neighboursOf(
  skus: readonly string[],
  baskets: readonly (readonly string[])[],
  limit: number,
): Record<string, [string, number][]> {
  const size = skus.length;
  const position = new Map(skus.map((sku, index) => [sku, index]));
  const together = new Float64Array(size * size);
  for (const basket of baskets) {
    const places = basket.flatMap((sku) => position.get(sku) ?? []);
    const weight = 1 / Math.sqrt(Math.max(places.length, 1));
    for (const a of places) {
      const row = a * size;
      for (const b of places) together[row + b] = (together[row + b] ?? 0) + weight;
    }
  }
  const result: [string, [string, number][]][] = [];
  for (const [a, sku] of skus.entries()) {
    const ranked = rankNeighbours(a, size, together).slice(0, limit);
    const named = ranked.map(([b, similarity]): [string, number] => [skus[b] ?? '', similarity]);
    if (named.length > 0) result.push([sku, named]);
  }
  return Object.fromEntries(result);
}

/** The neighbours of product `a`, most similar first, ties by popularity; similarities that round to 0 are left out. */
function rankNeighbours(a: number, size: number, together: Float64Array): [number, number][] {
  const ranked: [number, number][] = [];
  const weightA = together[a * size + a] ?? 0;
  for (let b = 0; b < size; b += 1) {
    const shared = together[a * size + b] ?? 0;
    if (b === a || shared === 0) continue;
    const weightB = together[b * size + b] ?? 0;
    const similarity = round(shared / (Math.sqrt(weightA * weightB) + SIMILARITY_SHRINKAGE), 3);
    if (similarity > 0) ranked.push([b, similarity]);
  }
  return ranked.sort((x, y) => y[1] - x[1] || x[0] - y[0]);
}
