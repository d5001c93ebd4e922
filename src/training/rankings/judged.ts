/** Answers the queries of a test by the new model, the champion, and the lists that both have to beat. */
import type { Candidates } from '../../define/candidates.ts';
import type { Session } from '../../inference/graph.ts';
import { parseCandidates } from '../../inference/registry.ts';
import { SEGMENTS, type Segment, type SegmentAnswerers, segmentOf } from '../../inference/segments.ts';
import { judgeList, type ListFigures } from '../measures/ranking.ts';
import { TrainingRefused } from '../refusal.ts';
import type { Pieces, Shown } from '../runs/pieces.ts';
import type { Repeats } from './candidates.ts';
import { LIST_LENGTH, modelList, popularList, repeatList, type Scorer, scorerOf } from './lists.ts';
import { keptJson, type PosedQuery, posedQueries, type RankingWork } from './work.ts';

/** The names of the graph that a run writes. */
export const RANKING_INPUT = 'features';
export const RANKING_OUTPUT = 'score';

/** The rows that are shown of a test: the first one of a query each. */
const SHOWN_MAX = 20_000;

/** The lists of one ranker, judged. */
export class JudgedLists {
  readonly figures: ListFigures[] = [];
  /** What the lists of each segment had. */
  readonly items: Readonly<Record<Segment, Set<string>>> = { new: new Set(), returning: new Set() };

  add(list: readonly string[], taken: ReadonlySet<string>, segment: Segment): void {
    this.figures.push(judgeList(list, taken, LIST_LENGTH));
    for (const item of list.slice(0, LIST_LENGTH)) this.items[segment].add(item);
  }

  /** The items of all lists. */
  get size(): number {
    return new Set(SEGMENTS.flatMap((segment) => [...this.items[segment]])).size;
  }
}

/** The lists as they are served: those of the model or of popularity, by the query's segment. */
export function servedLists(
  { model, popularity, segments }: Pick<JudgedTest, 'model' | 'popularity' | 'segments'>,
  answerers: SegmentAnswerers,
): JudgedLists {
  const by = { model, popularity };
  const served = new JudgedLists();
  for (const [query, segment] of segments.entries()) {
    const figures = by[answerers[segment]].figures[query];
    if (figures !== undefined) served.figures.push(figures);
  }
  for (const segment of SEGMENTS)
    for (const item of by[answerers[segment]].items[segment]) served.items[segment].add(item);
  return served;
}

export interface JudgedTest {
  /** The lists of the model, whoever answers a segment. */
  readonly model: JudgedLists;
  readonly popularity: JudgedLists;
  readonly repeats: JudgedLists;
  readonly champion: JudgedLists;
  /** The number of each query's entity, from 0. */
  readonly units: readonly number[];
  /** Of each query. */
  readonly segments: readonly Segment[];
  /** The queries for which popularity answered in the model's place. */
  readonly withoutRows: number;
  /** The shares of what was taken that were among the candidates. */
  readonly offered: readonly number[];
  /** The most candidates of a moment that were popular at all. */
  readonly items: number;
  readonly shown: ShownRows;
}

/** A version that answers beside the new one. */
export interface RankingOpponent {
  readonly score: Scorer;
  readonly answerers: SegmentAnswerers;
  /** Its own candidates; undefined if those of the query's moment stand in. */
  readonly candidates: Candidates | undefined;
}

/** @param opponent the champion; undefined if there is none, or it cannot be compared. */
export async function* judgedTest(
  work: RankingWork,
  session: Pick<Session, 'run'>,
  opponent: RankingOpponent | undefined,
): Pieces<JudgedTest> {
  const { definition, moments } = work;
  const { candidates: served } = await ownCandidates(work);
  const repeats = new Map<number, Repeats>();
  for (const [place, { split }] of moments.entries())
    if (split === 'test') repeats.set(place, (await keptJson(work, `repeats-${place}`)) as Repeats);
  const score = scorerOf(session, RANKING_INPUT, RANKING_OUTPUT);
  const lists = { model: new JudgedLists(), popularity: new JudgedLists(), repeats: new JudgedLists() };
  const champion = new JudgedLists();
  const [units, offered, segments] = [[] as number[], [] as number[], [] as Segment[]];
  const entities = new Map<string, number>();
  const shown = new ShownRows(definition.columns.length);
  let [withoutRows, items] = [0, 0];
  yield* posedQueries(work, ['test'], (query) => {
    const { candidates, taken, key, moment } = query;
    const own = modelList(query, candidates, score);
    const segment =
      segmentOf(candidates, query.features, query.at) ?? (own.first === undefined ? 'new' : 'returning');
    segments.push(segment);
    if (own.first === undefined) withoutRows += 1;
    const { first } = shown.isFull ? own : modelList(query, served, score);
    if (first !== undefined) shown.add(first, segment);
    lists.model.add(own.items, taken, segment);
    lists.popularity.add(popularList(candidates), taken, segment);
    lists.repeats.add(repeatList(repeats.get(moment)?.[key] ?? [], candidates), taken, segment);
    if (opponent !== undefined) champion.add(opponentList(query, opponent, segment), taken, segment);
    offered.push(offeredShare(query));
    items = Math.max(items, candidates.popular(Number.POSITIVE_INFINITY).length);
    const unit = entities.get(key) ?? entities.size;
    entities.set(key, unit);
    units.push(unit);
  });
  if (units.length === 0)
    throw new TrainingRefused('too_few_rows', 'The test has no query: ask for a longer history.');
  return { ...lists, champion, units, segments, withoutRows, offered, items, shown };
}

/** A test's rows that the version ranks when it serves, and its candidates. */
export async function shownOf(
  work: RankingWork,
  rows: ShownRows,
  answerers: SegmentAnswerers,
): Promise<Shown> {
  const { bytes } = await ownCandidates(work);
  return rows.finish(bytes, answerers);
}

/** The candidates that the version serves, as of the run. */
async function ownCandidates({
  definition,
  ports,
  run,
}: RankingWork): Promise<{ bytes: Uint8Array<ArrayBuffer>; candidates: Candidates }> {
  const bytes = await ports.kept.get(run.id, 'candidates');
  if (bytes === undefined) throw new TrainingRefused('invalid_checkpoint', 'The candidates are gone.');
  return { bytes, candidates: parseCandidates(definition, bytes) };
}

function opponentList(query: PosedQuery, opponent: RankingOpponent, segment: Segment): readonly string[] {
  const candidates = opponent.candidates ?? query.candidates;
  return opponent.answerers[segment] === 'popularity'
    ? popularList(candidates)
    : modelList(query, candidates, opponent.score).items;
}

function offeredShare({ candidates, features, at, taken }: PosedQuery): number {
  const offered = candidates.assemble(features, undefined, at)?.items ?? [];
  let found = 0;
  for (const item of offered) if (taken.has(item)) found += 1;
  return found / taken.size;
}

/**
 * The first rows of lists, as columns. The lists are of the version's own candidates, as it is served, because the watch of
 * drift compares served rows with these. Those of the queries' moments would differ without any drift: what a row says of
 * an item, such as how many buy it, is the same in all rows of one table, and here it would be a mixture of several.
 */
export class ShownRows {
  readonly #width: number;
  readonly #rows: { readonly values: Float32Array; readonly score: number; readonly segment: Segment }[] = [];

  constructor(width: number) {
    this.#width = width;
  }

  get isFull(): boolean {
    return this.#rows.length >= SHOWN_MAX;
  }

  add({ values, score }: { readonly values: Float32Array; readonly score: number }, segment: Segment): void {
    if (!this.isFull) this.#rows.push({ values, score, segment });
  }

  /**
   * Leaves out the rows of segments that popularity answers, because the watch of drift sees none of them. Golden rows are
   * needed in any case, so all rows are shown if the model answers none.
   */
  finish(candidates: Uint8Array<ArrayBuffer>, answerers: SegmentAnswerers): Shown {
    const ranked = this.#rows.filter(({ segment }) => answerers[segment] === 'model');
    const rows = ranked.length === 0 ? this.#rows : ranked;
    const columns = Array.from({ length: this.#width }, (_, at) =>
      Float32Array.from(rows, ({ values }) => values[at] ?? 0),
    );
    const answers = Float32Array.from(rows, ({ score }) => score);
    const set = {
      columns,
      labels: new Float32Array(answers.length),
      weights: undefined,
      units: new Uint32Array(0),
    };
    return { set, answers, candidates };
  }
}
