import type { FeatureRow } from '../features/store.ts';
import { log } from '../platform/logger.ts';
import type { LoadedModel } from './loaded-models.ts';

export interface RankedItem {
  readonly item: string;
  readonly score: number;
}

export interface Ranking {
  readonly items: readonly RankedItem[];
  /** `popularity` is no degradation for an entity that nothing is known of. */
  readonly source: 'model' | 'popularity';
  /** Why popularity answers where the model should. */
  readonly degraded: 'model_failed' | undefined;
}

/**
 * Ranks the given items, or the entity's candidates, best first; equal scores in the order of the items' names.
 * A graph that fails is stood in for by popularity, and the answer says so.
 *
 * @param now milliseconds since the Unix epoch.
 */
export async function rank(
  { graph, candidates }: LoadedModel,
  features: FeatureRow,
  items: readonly string[] | undefined,
  limit: number,
  now: number,
): Promise<Ranking> {
  try {
    const values = Object.fromEntries(Object.entries(features).map(([name, { value }]) => [name, value]));
    const assembled = candidates.assemble(values, items, now);
    if (assembled === null)
      return { items: candidates.popular(limit), source: 'popularity', degraded: undefined };
    if (assembled.items.length === 0) return { items: [], source: 'model', degraded: undefined };
    const width = assembled.rows.length / assembled.items.length;
    const { data } = await graph.run({ shape: [assembled.items.length, width], data: assembled.rows });
    const ranked = assembled.items
      .map((item, index) => ({ item, score: data[index] ?? 0 }))
      .sort((a, b) => b.score - a.score || (a.item < b.item ? -1 : 1));
    return { items: ranked.slice(0, limit), source: 'model', degraded: undefined };
  } catch (error) {
    log('error', 'The model failed; popularity answers.', { 'event.action': 'rank' }, error);
    const popular = candidates.popular(items === undefined ? limit : Number.POSITIVE_INFINITY);
    const wanted = items === undefined ? popular : byPopularity(items, popular);
    return { items: wanted.slice(0, limit), source: 'popularity', degraded: 'model_failed' };
  }
}

function byPopularity(items: readonly string[], popular: readonly RankedItem[]): RankedItem[] {
  const scores = new Map(popular.map(({ item, score }) => [item, score]));
  return items
    .map((item) => ({ item, score: scores.get(item) ?? 0 }))
    .sort((a, b) => b.score - a.score || (a.item < b.item ? -1 : 1));
}
