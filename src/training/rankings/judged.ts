/** Answers the queries of a test by the new model, the champion, and the lists that both have to beat. */
import type { Candidates } from '../../define/candidates.ts';
import type { Session } from '../../inference/graph.ts';
import { parseCandidates } from '../../inference/registry.ts';
import { judgeList, type ListFigures } from '../measures/ranking.ts';
import { TrainingRefused } from '../refusal.ts';
import type { Segment } from '../runs/evaluation.ts';
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
  readonly items = new Set<string>();

  add(list: readonly string[], taken: ReadonlySet<string>): void {
    this.figures.push(judgeList(list, taken, LIST_LENGTH));
    for (const item of list.slice(0, LIST_LENGTH)) this.items.add(item);
  }
}

export interface JudgedTest {
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
  readonly shown: Shown;
}

/** A version that answers beside the new one. */
export interface RankingOpponent {
  readonly score: Scorer;
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
    if (own.first === undefined) withoutRows += 1;
    else shown.add(own.first);
    lists.model.add(own.items, taken);
    lists.popularity.add(popularList(candidates), taken);
    const before = repeats.get(moment)?.[key];
    segments.push(before === undefined ? 'new' : 'returning');
    lists.repeats.add(repeatList(before ?? [], candidates), taken);
    if (opponent !== undefined)
      champion.add(modelList(query, opponent.candidates ?? candidates, opponent.score).items, taken);
    offered.push(offeredShare(query));
    items = Math.max(items, candidates.popular(Number.POSITIVE_INFINITY).length);
    const unit = entities.get(key) ?? entities.size;
    entities.set(key, unit);
    units.push(unit);
  });
  if (units.length === 0)
    throw new TrainingRefused('too_few_rows', 'The test has no query: ask for a longer history.');
  const bytes = await work.ports.kept.get(work.run.id, 'candidates');
  if (bytes === undefined) throw new TrainingRefused('invalid_checkpoint', 'The candidates are gone.');
  // They have to be readable before a version is made of them.
  parseCandidates(definition, bytes);
  return { ...lists, champion, units, segments, withoutRows, offered, items, shown: shown.finish(bytes) };
}

function offeredShare({ candidates, features, at, taken }: PosedQuery): number {
  const offered = candidates.assemble(features, undefined, at)?.items ?? [];
  let found = 0;
  for (const item of offered) if (taken.has(item)) found += 1;
  return found / taken.size;
}

/** The first rows of lists, as columns. */
class ShownRows {
  readonly #width: number;
  readonly #rows: Float32Array[] = [];
  readonly #scores: number[] = [];

  constructor(width: number) {
    this.#width = width;
  }

  add({ values, score }: { readonly values: Float32Array; readonly score: number }): void {
    if (this.#rows.length >= SHOWN_MAX) return;
    this.#rows.push(values);
    this.#scores.push(score);
  }

  finish(candidates: Uint8Array<ArrayBuffer>): Shown {
    const columns = Array.from({ length: this.#width }, (_, at) =>
      Float32Array.from(this.#rows, (row) => row[at] ?? 0),
    );
    const answers = Float32Array.from(this.#scores);
    const set = {
      columns,
      labels: new Float32Array(answers.length),
      weights: undefined,
      units: new Uint32Array(0),
    };
    return { set, answers, candidates };
  }
}
