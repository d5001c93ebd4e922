import type { RankingModel } from '../define/model.ts';
import type { FeatureRow } from '../features/shards.ts';
import { log } from '../platform/logger.ts';
import type { DegradedReason, Maker } from './degraded.ts';
import { type Reason, type Rows, reasonsOf } from './explain/reasons.ts';
import { drawn } from './feedback/sampling.ts';
import type { Graph } from './graph.ts';
import type { LoadedRanking } from './loaded-models.ts';
import { type ObservedRow, SCORE } from './observed-rows.ts';
import { RuntimeSwitchedOff } from './phase.ts';
import { ANSWERERS_BY_DEFAULT, type PopularityReason, reasonOf, segmentOf } from './segments.ts';
import { selected, selectionOf, WHOLE } from './selection.ts';

export interface RankedItem {
  readonly item: string;
  readonly score: number;
  /** What raises the score most, by declaration; only of a champion's first items. */
  readonly reasons?: readonly Reason[];
}

/** What is to be ranked, and with which features. */
interface ToRank {
  /** Undefined for the candidates of the entity. */
  readonly items: readonly string[] | undefined;
  readonly limit: number;
  readonly features: FeatureRow;
  /** Milliseconds since the Unix epoch. */
  readonly now: number;
  /** Draws the items of the answer from the best `pool` ones, in random order. */
  readonly exploring?: Exploring | undefined;
  /** Is told the row of the best candidate, as the model scored it. */
  readonly watch?: ((row: () => ObservedRow) => void) | undefined;
}

/** How an answer explores. */
export interface Exploring {
  readonly seed: number;
  readonly pool: number;
}

export interface Ranking {
  readonly items: readonly RankedItem[];
  /** `popularity` is not a degradation if there is a `reason`. */
  readonly source: Maker | 'popularity' | 'fallback';
  /** The reason why something else than the champion answers. */
  readonly degraded: DegradedReason | undefined;
  /** Why popularity answers though nothing is degraded. */
  readonly reason?: PopularityReason;
  /** How many items an explored answer was drawn from; absent for any other. */
  readonly drawnFrom?: number;
}

/** Ranks the given items by popularity, or returns the most popular ones that the declaration admits. */
export function popularityRanking(
  definition: RankingModel,
  { candidates }: Pick<LoadedRanking, 'candidates'>,
  { items, limit, features, now }: ToRank,
  degraded: DegradedReason | undefined,
): Ranking {
  const popular = candidates.popular(Number.POSITIVE_INFINITY);
  const wanted =
    items === undefined
      ? selected(popular, selectionOf(definition, candidates, features, now), limit)
      : byPopularity(items, popular).slice(0, limit);
  return { items: wanted, source: 'popularity', degraded };
}

/**
 * Ranks the given items, or those of the entity's candidates that the declaration admits, best first. Equal scores are
 * ordered by item name. If popularity answers the entity's segment, as the version's evaluation found, or the features give
 * the model nothing to rank by, the answer has the reason. If the graph fails, or a feature is being built from history, popularity ranks the items instead,
 * and the answer says so.
 *
 * @param isExplained whether the first items get the declared reasons.
 */
export async function rank(
  definition: RankingModel,
  { manifest, graph, candidates }: LoadedRanking,
  toRank: ToRank,
  isExplained: boolean,
): Promise<Ranking> {
  const { items, limit, features, now, exploring, watch } = toRank;
  const popularity = (degraded: DegradedReason | undefined) =>
    popularityRanking(definition, { candidates }, toRank, degraded);
  const waiting = Object.values(definition.features).some(
    ({ readName }) => features[readName]?.status === 'NOT_READY',
  );
  if (waiting) return popularity('features_not_ready');
  try {
    const values = valuesOf(definition, features, now);
    // The evaluation says nothing of lists that a request names.
    const segment = items === undefined ? segmentOf(candidates, values, now) : undefined;
    const answerers = manifest.segments ?? ANSWERERS_BY_DEFAULT;
    if (segment !== undefined && answerers[segment] === 'popularity')
      return { ...popularity(undefined), reason: reasonOf(segment) };
    const assembled = candidates.assemble(values, items, now);
    if (assembled === null) return { ...popularity(undefined), reason: 'nothing_to_rank_by' };
    if (assembled.items.length === 0) return { items: [], source: 'model', degraded: undefined };
    const width = assembled.rows.length / assembled.items.length;
    const scores = await scoresOf(graph, [assembled.items.length, width], assembled.rows);
    const ranked = assembled.items
      .map((item, row) => ({ item, score: scores[row] ?? 0, row }))
      .sort((a, b) => b.score - a.score || (a.item < b.item ? -1 : 1));
    const [first] = ranked;
    if (first !== undefined) watch?.(() => observedRow(definition, assembled.rows, first));
    const selection = items === undefined ? selectionOf(definition, candidates, features, now) : WHOLE;
    const best = selected(ranked, selection, Math.max(limit, exploring?.pool ?? 0));
    const shown = exploring === undefined ? best : drawn(best, limit, exploring.seed);
    const reasons = isExplained
      ? await reasonsFor(definition, graph, { data: assembled.rows, width }, shown)
      : [];
    const answered = shown.map(({ item, score }, index): RankedItem => {
      const own = reasons[index];
      return own === undefined ? { item, score } : { item, score, reasons: own };
    });
    return {
      ...{ items: answered, source: 'model', degraded: undefined },
      ...(exploring === undefined ? {} : { drawnFrom: best.length }),
    };
  } catch (error) {
    if (error instanceof RuntimeSwitchedOff) return popularity('phase_degraded');
    log('error', 'The model failed; popularity answers.', { 'event.action': 'rank' }, error);
    return popularity('model_failed');
  }
}

/** The row of a candidate, with its score. */
function observedRow(
  { columns }: RankingModel,
  rows: Float32Array,
  { row, score }: { readonly row: number; readonly score: number },
): ObservedRow {
  const values = [...rows.subarray(row * columns.length, (row + 1) * columns.length), score];
  return { columns: [...columns, SCORE], values };
}

/** The reasons of the first items, if any are declared. An answer without them is no less right, so they may fail. */
async function reasonsFor(
  { reasons, columns }: RankingModel,
  graph: Graph,
  rows: Rows,
  ranked: readonly { readonly row: number }[],
): Promise<Reason[][]> {
  if (reasons === undefined) return [];
  const at = ranked.map(({ row }) => row);
  try {
    return await reasonsOf(reasons, columns, rows, at, (shape, data) => scoresOf(graph, shape, data));
  } catch (error) {
    log('error', 'A ranking could not be explained.', { 'event.action': 'explain' }, error);
    return [];
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
