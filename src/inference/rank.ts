import type { RankingModel } from '../define/model.ts';
import type { FeatureRow } from '../features/shards.ts';
import { log } from '../platform/logger.ts';
import type { DegradedReason, Maker } from './degraded.ts';
import type { Graph } from './graph.ts';
import type { LoadedRanking } from './loaded-models.ts';

export interface RankedItem {
  readonly item: string;
  readonly score: number;
}

export interface Ranking {
  readonly items: readonly RankedItem[];
  /** `popularity` is not a degradation for an entity whose features give the model nothing to rank by. */
  readonly source: Maker | 'popularity' | 'fallback';
  /** The reason why something else than the champion answers. */
  readonly degraded: DegradedReason | undefined;
}

/** Ranks the given items by popularity, or returns the most popular ones. */
export function popularityRanking(
  { candidates }: Pick<LoadedRanking, 'candidates'>,
  items: readonly string[] | undefined,
  limit: number,
  degraded: DegradedReason,
): Ranking {
  const popular = candidates.popular(items === undefined ? limit : Number.POSITIVE_INFINITY);
  const wanted = items === undefined ? popular : byPopularity(items, popular);
  return { items: wanted.slice(0, limit), source: 'popularity', degraded };
}

/**
 * Ranks the given items, or the entity's candidates, best first. Equal scores are ordered by item name. If the graph
 * fails, or a feature is being built from history, popularity ranks the items instead, and the answer says so.
 *
 * @param now milliseconds since the Unix epoch.
 */
export async function rank(
  definition: RankingModel,
  { graph, candidates }: LoadedRanking,
  features: FeatureRow,
  items: readonly string[] | undefined,
  limit: number,
  now: number,
): Promise<Ranking> {
  const popularity = (degraded: DegradedReason) => popularityRanking({ candidates }, items, limit, degraded);
  const waiting = Object.values(definition.features).some(
    ({ readName }) => features[readName]?.status === 'NOT_READY',
  );
  if (waiting) return popularity('features_not_ready');
  try {
    const assembled = candidates.assemble(valuesOf(definition, features, now), items, now);
    if (assembled === null)
      return { items: candidates.popular(limit), source: 'popularity', degraded: undefined };
    if (assembled.items.length === 0) return { items: [], source: 'model', degraded: undefined };
    const width = assembled.rows.length / assembled.items.length;
    const scores = await scoresOf(graph, [assembled.items.length, width], assembled.rows);
    const ranked = assembled.items
      .map((item, index) => ({ item, score: scores[index] ?? 0 }))
      .sort((a, b) => b.score - a.score || (a.item < b.item ? -1 : 1));
    return { items: ranked.slice(0, limit), source: 'model', degraded: undefined };
  } catch (error) {
    log('error', 'The model failed; popularity answers.', { 'event.action': 'rank' }, error);
    return popularity('model_failed');
  }
}

/** The features that the model refers to, under the model's names. */
function valuesOf(
  { features: references }: RankingModel,
  row: FeatureRow,
  now: number,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(references).map(([name, { readName, read }]) => [name, read(row[readName]?.value, now)]),
  );
}

/** One score for each row. Publication has checked that the graph has one input and one output. */
async function scoresOf(graph: Graph, shape: readonly number[], data: Float32Array): Promise<number[]> {
  const [input, output] = [graph.inputs[0], graph.outputs[0]];
  if (input === undefined || output === undefined)
    throw new Error('The graph needs at least one input and one output.');
  const outputs = await graph.run({ [input.name]: { datatype: 'FP32', shape, data } });
  return Array.from(outputs[output.name]?.data ?? [], Number);
}

function byPopularity(items: readonly string[], popular: readonly RankedItem[]): RankedItem[] {
  const scores = new Map(popular.map(({ item, score }) => [item, score]));
  return items
    .map((item) => ({ item, score: scores.get(item) ?? 0 }))
    .sort((a, b) => b.score - a.score || (a.item < b.item ? -1 : 1));
}
