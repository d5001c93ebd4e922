/** Judges a new ranking beside the champion, popularity and repetition, on later queries. */
import { answererOf, type Segment } from '../../inference/segments.ts';
import { type Interval, intervalOf, meanOf, type Resampling, within } from '../measures/measure.ts';
import type { ListFigures } from '../measures/ranking.ts';
import {
  answerersOf,
  type Evaluation,
  type Figures,
  resamplesFor,
  type SegmentFigures,
  verdictOf,
} from '../runs/evaluation.ts';
import { type JudgedLists, type JudgedTest, servedLists } from './judged.ts';

const LEVEL = 0.95;

const MEASURES: readonly (readonly [name: string, of: (figures: ListFigures) => number])[] = [
  ['ndcg_at_10', ({ ndcg }) => ndcg],
  ['hit_rate_at_10', ({ hit }) => hit],
  ['mrr_at_10', ({ reciprocalRank }) => reciprocalRank],
  ['recall_at_10', ({ recall }) => recall],
];

export interface RankingEvaluating extends Pick<Evaluation, 'dataset' | 'from' | 'to' | 'seed'> {
  readonly test: JudgedTest;
  /** The version that answers now, and why it was not compared if it was not; null without one. */
  readonly champion: { readonly version: string; readonly why: string | null } | null;
}

/**
 * Computes an evaluation; it yields after each interval, so that a caller can stop between two. The figures of the model
 * are of the lists that the version serves, so they depend on who answers each segment.
 */
export function* rankingEvaluation({
  test,
  champion,
  ...described
}: RankingEvaluating): Generator<undefined, Evaluation> {
  const { units } = test;
  const resamples = resamplesFor(units.length);
  const resampling: Resampling = { seed: described.seed, resamples, level: LEVEL, units };
  const weights = new Float32Array(units.length).fill(1);
  const find = (values: readonly number[]): Interval | null =>
    intervalOf(meanOf(values), weights, resampling) ?? null;
  const figuresOf = (lists: JudgedLists) => figuresBy(find, lists);
  const segments = {
    new: yield* segmentFigures(test, 'new', resampling),
    returning: yield* segmentFigures(test, 'returning', resampling),
  };
  const served = servedLists(test, answerersOf({ ranking: { segments } }));
  const gainOver = ({ figures }: JudgedLists) =>
    find(served.figures.map(({ ndcg }, query) => ndcg - (figures[query]?.ndcg ?? 0)));
  const model = yield* figuresOf(served);
  const lists = { popularity: yield* figuresOf(test.popularity), repeats: yield* figuresOf(test.repeats) };
  const ndcg = (figures: Figures) => figures['ndcg_at_10']?.value ?? 0;
  const name: 'repeats' | 'popularity' =
    ndcg(lists.repeats) > ndcg(lists.popularity) ? 'repeats' : 'popularity';
  const isCompared = champion !== null && champion.why === null;
  const ofChampion = isCompared ? yield* figuresOf(test.champion) : null;
  const gains = { baseline: gainOver(test[name]), champion: isCompared ? gainOver(test.champion) : null };
  const coverage = ({ size }: JudgedLists) => size / Math.max(1, test.items);
  const found = {
    ...described,
    ...{ rows: units.length, entities: 1 + Math.max(...units), resamples, level: LEVEL },
    ...{ loss: 'ndcg_loss' as const, model, gains },
    baseline: { name, answer: null, figures: lists[name] },
    champion:
      champion === null ? null : { version: champion.version, figures: ofChampion, why: champion.why },
    ranking: {
      lists,
      coverage: {
        ...{
          model: coverage(served),
          popularity: coverage(test.popularity),
          repeats: coverage(test.repeats),
        },
        ...(isCompared ? { champion: coverage(test.champion) } : {}),
      },
      candidateRecall: test.offered.reduce((sum, share) => sum + share, 0) / units.length,
      withoutRows: test.withoutRows,
      segments,
    },
  };
  return { ...found, verdict: verdictOf(found) };
}

/** The figures of some lists, one after the other. @param find the interval of the mean of the queries' values. */
function* figuresBy(
  find: (values: readonly number[]) => Interval | null,
  { figures }: JudgedLists,
): Generator<undefined, Figures> {
  const found: Figures = {};
  for (const [name, of] of MEASURES) {
    found[name] = find(figures.map(of));
    yield;
  }
  return found;
}

/** The figures of the queries of a segment; null without any. Entities are drawn from all queries, as for the other figures. */
function* segmentFigures(
  { segments, model, popularity, repeats }: JudgedTest,
  segment: Segment,
  resampling: Resampling,
): Generator<undefined, SegmentFigures | null> {
  const queries = segments.filter((of) => of === segment).length;
  if (queries === 0) return null;
  const weights = within(segments, segment, new Float32Array(segments.length).fill(1));
  const find = (values: readonly number[]) => intervalOf(meanOf(values), weights, resampling) ?? null;
  const figuresOf = (lists: JudgedLists) => figuresBy(find, lists);
  const gain = find(model.figures.map(({ ndcg }, query) => ndcg - (popularity.figures[query]?.ndcg ?? 0)));
  return {
    ...{ queries, answeredBy: answererOf(segment, { queries, gain }), gain },
    model: yield* figuresOf(model),
    popularity: yield* figuresOf(popularity),
    repeats: yield* figuresOf(repeats),
  };
}
