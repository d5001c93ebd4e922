/** Judges a new model beside the champion and a baseline, on rows that none of them has learned from. */
import * as z from 'zod';
import {
  ANSWERERS_BY_DEFAULT,
  type Answerer,
  type Segment,
  type SegmentAnswerers,
} from '../../inference/segments.ts';
import type { TrainingTask } from '../columns.ts';
import { type Interval, intervalOf, type Measure, meanOf, type Resampling } from '../measures/measure.ts';
import { maeOf, rmseOf } from '../measures/number.ts';
import { aucOf, brierOf, eceOf, logLossesOf, logLossOf } from '../measures/probability.ts';
import type { RowSet } from './set.ts';

const RESAMPLES = 1_000;
const RESAMPLES_MIN = 200;
/** Rows times resamples of one interval: some tenths of a second. With more rows there are fewer resamples. */
const DRAWS_MAX = 20_000_000;
const LEVEL = 0.95;

const Range = z.strictObject({ value: z.number(), low: z.number(), high: z.number() });
/** By the name of the measure; null if the rows do not define it. */
const Figures = z.record(z.string(), Range.nullable());
export type Figures = z.output<typeof Figures>;

const Share = z.number().min(0).max(1);
/** How the lists of a segment's queries were. */
const SegmentFigures = z.strictObject({
  queries: z.int(),
  /** Who answers the segment when the version serves; absent in evaluations of earlier releases. */
  answeredBy: z.enum(['model', 'popularity']).optional(),
  /** Of the model, whoever answers. */
  model: Figures,
  popularity: Figures,
  repeats: Figures,
  /** The mean NDCG of the new model minus that of popularity. */
  gain: Range.nullable(),
});
export type SegmentFigures = z.output<typeof SegmentFigures>;

/** How the first ten items of lists were, by who made them. */
const Ranked = z.strictObject({
  /** The most popular items for everybody, and what each entity took most often before them. */
  lists: z.strictObject({ popularity: Figures, repeats: Figures }),
  /** The share of the candidates that were in any list. */
  coverage: z.strictObject({
    ...{ model: Share, popularity: Share, repeats: Share },
    champion: Share.optional(),
  }),
  /** The share of what was taken that was among the candidates: no list can have more. */
  candidateRecall: Share,
  /** Queries for which popularity answered, because the features gave the model nothing to rank by. */
  withoutRows: z.int(),
  /** By what the features say of the entity. Null without queries of the segment; absent in evaluations of earlier releases. */
  segments: z
    .strictObject({ new: SegmentFigures.nullable(), returning: SegmentFigures.nullable() })
    .optional(),
});

/** What was found, and with which seed and rows, so that the verdict can be derived again. */
export const Evaluation = z.strictObject({
  dataset: z.strictObject({ id: z.string(), digest: z.string() }),
  /** The rows that were judged, and the entities that they are of. */
  rows: z.int(),
  entities: z.int(),
  /** The bounds of their moments, RFC 3339. */
  from: z.string(),
  to: z.string(),
  seed: z.int(),
  resamples: z.int(),
  level: z.number(),
  /** The loss of a row that gains are differences of. */
  loss: z.enum(['squared_error', 'log_loss', 'ndcg_loss']),
  model: Figures,
  /**
   * What any model has to beat: the mean label of the rows that were learned from, as the answer of every row; or, of a
   * ranking, the better one of the lists below.
   */
  baseline: z.strictObject({
    name: z.enum(['mean_label', 'popularity', 'repeats']).default('mean_label'),
    answer: z.number().nullable(),
    figures: Figures,
  }),
  /** Of a ranking alone. */
  ranking: Ranked.optional(),
  /** Null without a champion; `figures` is null if it cannot be compared, and `why` says why. */
  champion: z
    .strictObject({ version: z.string(), figures: Figures.nullable(), why: z.string().nullable() })
    .nullable(),
  /** The mean loss of the other minus that of the new model, with its interval: above 0 the new model is better. */
  gains: z.strictObject({ baseline: Range.nullable(), champion: Range.nullable() }),
  verdict: z.enum(['better', 'not_better']),
});
export type Evaluation = z.output<typeof Evaluation>;

/** Who answers each segment, as an evaluation found. */
export function answerersOf({
  ranking,
}: {
  readonly ranking?: Pick<z.output<typeof Ranked>, 'segments'> | undefined;
}): SegmentAnswerers {
  const of = (segment: Segment): Answerer =>
    ranking?.segments?.[segment]?.answeredBy ?? ANSWERERS_BY_DEFAULT[segment];
  return { new: of('new'), returning: of('returning') };
}

/** Better is what beats the baseline, and the champion if that can be compared, by intervals without 0. */
export function verdictOf({
  gains,
  champion,
}: Pick<Evaluation, 'gains' | 'champion'>): Evaluation['verdict'] {
  const isAbove = (gain: z.output<typeof Range> | null) => gain !== null && gain.low > 0;
  const isCompared = champion !== null && champion.figures !== null;
  return isAbove(gains.baseline) && (!isCompared || isAbove(gains.champion)) ? 'better' : 'not_better';
}

/** The champion's answers for the rows, or why there are none. */
export type ChampionAnswers =
  | { readonly version: string; readonly answers: Float32Array }
  | { readonly version: string; readonly why: string };

export interface Evaluating extends Pick<Evaluation, 'dataset' | 'from' | 'to' | 'seed'> {
  readonly task: TrainingTask;
  readonly set: RowSet;
  readonly answers: Float32Array;
  readonly champion: ChampionAnswers | null;
  /** The mean label of the rows that were learned from. */
  readonly baseline: number;
}

/** Computes an evaluation; it yields after each interval, so that a caller can stop between two. */
export function* evaluationSteps({
  task,
  set,
  answers,
  champion,
  baseline,
  ...described
}: Evaluating): Generator<undefined, Evaluation> {
  const { labels, units } = set;
  const weights = set.weights ?? new Float32Array(labels.length).fill(1);
  const rows = labels.length;
  const resamples = resamplesFor(rows);
  const resampling: Resampling = { seed: described.seed, resamples, level: LEVEL, units };
  const find = (measure: Measure): Interval | null => intervalOf(measure, weights, resampling) ?? null;
  const figuresOf = function* (given: Float32Array): Generator<undefined, Figures> {
    const figures: Figures = {};
    for (const [name, measure] of measuresOf(task, given, labels)) {
      figures[name] = find(measure);
      yield;
    }
    return figures;
  };
  const same = new Float32Array(rows).fill(baseline);
  const compared = champion !== null && 'answers' in champion ? champion.answers : undefined;
  const losses = lossesOf(task, answers, labels);
  const gainOver = (other: Float32Array) =>
    find(meanOf(lossesOf(task, other, labels).map((loss, row) => loss - (losses[row] ?? 0))));
  const model = yield* figuresOf(answers);
  const ofBaseline = yield* figuresOf(same);
  const ofChampion = compared === undefined ? null : yield* figuresOf(compared);
  const gains = { baseline: gainOver(same), champion: compared === undefined ? null : gainOver(compared) };
  const found = {
    ...described,
    ...{ rows, entities: units.reduce((most, unit) => Math.max(most, unit + 1), 0), resamples, level: LEVEL },
    loss: task === 'regression' ? ('squared_error' as const) : ('log_loss' as const),
    ...{ model, gains },
    baseline: { name: 'mean_label' as const, answer: baseline, figures: ofBaseline },
    champion:
      champion === null
        ? null
        : { version: champion.version, figures: ofChampion, why: 'why' in champion ? champion.why : null },
  };
  return { ...found, verdict: verdictOf(found) };
}

/** How often rows are drawn for an interval. */
export function resamplesFor(rows: number): number {
  return Math.max(RESAMPLES_MIN, Math.min(RESAMPLES, Math.floor(DRAWS_MAX / Math.max(1, rows))));
}

function measuresOf(
  task: TrainingTask,
  given: Float32Array,
  labels: Float32Array,
): readonly (readonly [name: string, measure: Measure])[] {
  if (task === 'regression')
    return [
      ['rmse', rmseOf(given, labels)],
      ['mae', maeOf(given, labels)],
    ];
  return [
    ['log_loss', logLossOf(given, labels)],
    ['auc', aucOf(given, labels)],
    ['brier', brierOf(given, labels)],
    ['ece', eceOf(given, labels)],
  ];
}

function lossesOf(task: TrainingTask, given: Float32Array, labels: Float32Array): Float64Array {
  if (task === 'binary') return logLossesOf(given, labels);
  return Float64Array.from(labels, (label, row) => ((given[row] ?? 0) - label) ** 2);
}

/** The mean of the first labels, each by what its row stands for. */
export function meanLabel({ labels, weights }: RowSet, rows: number): number {
  let [sum, total] = [0, 0];
  for (let row = 0; row < rows; row += 1) {
    const weight = weights?.[row] ?? 1;
    sum += weight * (labels[row] ?? 0);
    total += weight;
  }
  return total === 0 ? 0 : sum / total;
}
