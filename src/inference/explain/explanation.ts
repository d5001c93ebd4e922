import type { PredictionModel } from '../../define/model.ts';
import { Failure } from '../../platform/failure.ts';
import type { Answer } from '../answer.ts';
import type { DegradedReason } from '../degraded.ts';
import { PARITY_TOLERANCE } from '../evaluator/parity.ts';
import type { Additive, AdditiveRows, Link } from '../evaluator/sums.ts';
import type { Graph } from '../graph.ts';
import type { Tensors } from '../tensors.ts';
import { additiveContributions, linked, sumOf } from './additive.ts';
import { coalitionRows, type Ends, type Player, playersOf, rowsOfRun, takesRows } from './coalitions.ts';
import { PLAYERS_MAX, shapleyValues } from './shapley.ts';

/** Runs of a graph that takes a single row, at most: 2^6 coalitions. */
const PLAYERS_MAX_ROW_BY_ROW = 6;

/** How contributions are computed. All are exact; the first two need no enumeration. */
export const EXPLANATION_METHODS = ['linear', 'trees', 'enumeration'] as const;

/** What one column adds to the score. */
export interface Contribution {
  readonly input: string;
  readonly column: string;
  /** The read name of the column's feature. */
  readonly feature: string;
  /** The column's value and its default, as the graph gets them; null for NaN, which says "missing". */
  readonly value: number | null;
  readonly baseline: number | null;
  readonly contribution: number;
}

/** Which number of the answer is explained. */
interface ExplainedOutput {
  /** The property of the answer. */
  readonly output: string;
  /** The class whose number it is. */
  readonly class?: string | number;
}

export interface Explanation extends ExplainedOutput {
  readonly status: 'exact';
  readonly method: (typeof EXPLANATION_METHODS)[number];
  /**
   * What makes the answer's number of the score: `identity`, it is the score; `logistic` and `softmax`, it is a probability,
   * and the score is the sum below it, a logarithm of odds.
   */
  readonly link: Link;
  /** The baseline and all contributions added up. */
  readonly score: number;
  /** The score for an entity whose features have all their defaults. */
  readonly baseline: number;
  /**
   * How exact all numbers are: absolutely for values up to 1, relatively above. The evaluator and the runtime differ by as
   * much.
   */
  readonly tolerance: number;
  /** The greatest first. A column that is not listed has its default, and contributes 0. */
  readonly contributions: readonly Contribution[];
}

export type Explained = Explanation | { readonly status: 'unavailable'; readonly reason: DegradedReason };

export interface ExplainPorts {
  /** Charges the request for rows that the graph computes beside the answer's. @throws Failure `rate_limited` */
  readonly charge: (rows: number) => Promise<void>;
  /** Lets other work go on between two runs. */
  readonly pause: () => Promise<void>;
}

/** An answer, and what it was made of. */
export interface ToExplain extends Ends {
  readonly definition: PredictionModel;
  readonly graph: Graph;
  readonly answer: Answer;
}

/**
 * Explains an answer by the exact Shapley values of its feature columns (Lundberg & Lee, "A unified approach to
 * interpreting model predictions", 2017, with a single baseline). The players are the columns that differ from their
 * defaults; a column outside a coalition has its default. Fields of the request and constants are the same in all rows.
 *
 * @param isWanted whether somebody still waits for it; asked between two runs.
 * @throws Failure `not_explainable`, `rate_limited`; any error of the runtime.
 */
export async function explain(
  asked: ToExplain,
  ports: ExplainPorts,
  isWanted: () => boolean,
): Promise<Explanation> {
  const { definition, answer } = asked;
  const explained = explainedOutput(definition, answer);
  const toExplain: Explaining = {
    ...asked,
    explained,
    players: playersOf(asked),
    score: scoreOf(answer, explained),
  };
  const { players } = toExplain;
  const isEnumerable = players.length <= playersMaxOf(asked.graph);
  const made =
    (await summed(toExplain, ports)) ??
    (isEnumerable ? undefined : await linkedSum(toExplain, ports)) ??
    (await enumerated(toExplain, ports, isWanted));
  const { method, link, score, baseline, shares } = made;
  const contributions = players.map((player, index) => contributionOf(asked, player, shares[index] ?? 0));
  return {
    status: 'exact',
    method,
    ...explained,
    ...{ link, score, baseline, tolerance: PARITY_TOLERANCE },
    contributions: contributions.sort((a, b) => Math.abs(b.contribution) - Math.abs(a.contribution)),
  };
}

/** What is being explained. */
interface Explaining extends ToExplain {
  readonly explained: ExplainedOutput;
  readonly players: readonly Player[];
  readonly score: number;
}

/** What contributes how much; one share for each player. */
interface Shares {
  readonly method: Explanation['method'];
  readonly link: Link;
  readonly score: number;
  readonly baseline: number;
  readonly shares: ArrayLike<number>;
}

/** The shares in a number that is a sum; undefined if it is none, or the sum is not the answer. */
async function summed(toExplain: Explaining, { charge }: ExplainPorts): Promise<Shares | undefined> {
  const found = sumsOf(toExplain);
  if (found?.rows.link !== 'identity') return undefined;
  const { rows, form, isComplement } = found;
  await charge(1 + rowsWorthOf(form));
  const { players, score } = toExplain;
  const ofColumns = additiveContributions(form, rows).map((share) => (isComplement ? -share : share));
  const baseline = await baselineNumber(toExplain);
  if (!isNear(total(ofColumns, baseline), score)) return undefined;
  const shares = players.map(({ at }) => ofColumns[at] ?? 0);
  return { method: form.method, link: 'identity', score, baseline, shares };
}

/**
 * The shares in the sum below a probability; undefined if there is none, or it does not make the answer. The number itself
 * is explained wherever it can be, so this is for more columns than an enumeration takes.
 */
async function linkedSum(toExplain: Explaining, { charge }: ExplainPorts): Promise<Shares | undefined> {
  const found = sumsOf(toExplain);
  if (found === undefined) return undefined;
  const { rows, form, at, isComplement } = found;
  await charge(1 + rows.sums.length * rowsWorthOf(form));
  const sign = isComplement ? -1 : 1;
  const numberOf = (row: Float32Array) => {
    const number =
      linked(
        rows.link,
        rows.sums.map((sum) => sumOf(sum, row)),
      )[at] ?? Number.NaN;
    return isComplement ? 1 - number : number;
  };
  const { players, score: answered } = toExplain;
  const isAnswer = isNear(numberOf(rows.actual), answered);
  if (!isAnswer || !isNear(numberOf(rows.baseline), await baselineNumber(toExplain))) return undefined;
  const ofColumns = additiveContributions(form, rows);
  const baseline = sign * sumOf(form, rows.baseline);
  const shares = players.map((player) => sign * (ofColumns[player.at] ?? 0));
  return { method: form.method, link: rows.link, score: total(shares, baseline), baseline, shares };
}

/** The sums of the explained output, and the one of the explained number. */
function sumsOf({ definition, graph, actual, baseline, explained }: Explaining):
  | {
      readonly rows: AdditiveRows;
      readonly form: Additive;
      readonly at: number;
      readonly isComplement: boolean;
    }
  | undefined {
  const rows = graph.additive?.(definition.outputs[explained.output] ?? '', { actual, baseline });
  if (rows === undefined) return undefined;
  const { classes, at } = placeOf(definition, explained);
  // A binary classifier may output only the number of the second class.
  const isSecondAlone = classes === 2 && rows.sums.length === 1;
  const place = isSecondAlone ? 0 : at;
  const form = rows.sums[place];
  if (form === undefined || (!isSecondAlone && rows.sums.length !== classes)) return undefined;
  return { rows, form, at: place, isComplement: isSecondAlone && at === 0 };
}

/** The explained number of the row of defaults. */
async function baselineNumber({ definition, graph, baseline: ends, explained }: Explaining): Promise<number> {
  const name = definition.outputs[explained.output] ?? '';
  const [baseline = Number.NaN] = numbersOf(definition, await graph.run(ends, [name]), name, explained, 1);
  return baseline;
}

function total(shares: ArrayLike<number>, baseline: number): number {
  return Array.from(shares).reduce((sum, share) => sum + share, baseline);
}

/** How many rows take as long as the walk through trees, at most: a row visits one node of a tree at least. */
function rowsWorthOf(form: Additive): number {
  return form.method === 'linear'
    ? 0
    : Math.ceil(form.forest.modes.length / Math.max(1, form.forest.roots.length));
}

/** @throws Failure `not_explainable` */
async function enumerated(
  toExplain: Explaining,
  ports: ExplainPorts,
  isWanted: () => boolean,
): Promise<Shares> {
  const { graph, explained, players, score } = toExplain;
  assertFew(players.length, graph);
  const values = await coalitionValues(toExplain, players, explained, ports, isWanted);
  const [baseline = Number.NaN] = values;
  // A graph whose rows depend on each other, as one that divides by the batch's greatest value, has another value here.
  if (!isNear(values.at(-1) ?? Number.NaN, score))
    throw notExplainable('The graph answers another number for the same row of a batch.');
  const shares = shapleyValues(values, players.length);
  return { method: 'enumeration', link: 'identity', score, baseline, shares };
}

/** @throws Failure `not_explainable` */
function explainedOutput(definition: PredictionModel, answer: Answer): ExplainedOutput {
  if (definition.task === 'regression') return { output: 'value' };
  const { scores, probabilities } = definition.outputs;
  if (scores === undefined && probabilities === undefined)
    throw notExplainable('The model answers a label alone, and a label is no number to explain.');
  const label = definition.classes.find((one) => one === answer['label']);
  if (label === undefined) throw new Error('The answer has no declared label.');
  return { output: scores === undefined ? 'probabilities' : 'scores', class: label };
}

function scoreOf(answer: Answer, { output, class: label }: ExplainedOutput): number {
  const value = answer[output];
  return Number(label === undefined ? value : Reflect.get(Object(value), String(label)));
}

/** The most columns that an enumeration of coalitions takes. */
function playersMaxOf(graph: Graph): number {
  return takesRows(graph) ? PLAYERS_MAX : PLAYERS_MAX_ROW_BY_ROW;
}

/** @throws Failure `not_explainable` */
function assertFew(players: number, graph: Graph): void {
  if (players <= playersMaxOf(graph)) return;
  throw notExplainable(
    players > PLAYERS_MAX
      ? `${players} columns differ from their defaults; at most ${PLAYERS_MAX} can be explained, by 2^${PLAYERS_MAX} rows.`
      : `${players} columns differ from their defaults; of a graph that takes one row, at most ${PLAYERS_MAX_ROW_BY_ROW} can be explained.`,
  );
}

/** The explained number for each coalition. */
async function coalitionValues(
  asked: ToExplain,
  players: readonly Player[],
  explained: ExplainedOutput,
  { charge, pause }: ExplainPorts,
  isWanted: () => boolean,
): Promise<number[]> {
  const { definition, graph } = asked;
  const coalitions = 2 ** players.length;
  await charge(coalitions);
  const step = rowsOfRun(graph, asked);
  const name = definition.outputs[explained.output] ?? '';
  const values: number[] = [];
  for (let from = 0; from < coalitions && isWanted(); from += step) {
    if (from > 0) await pause();
    const to = Math.min(coalitions, from + step);
    const outputs = await graph.run(coalitionRows(asked, players, from, to), [name]);
    values.push(...numbersOf(definition, outputs, name, explained, to - from));
  }
  return values;
}

/** The explained number of each row. @throws Failure `not_explainable` */
function numbersOf(
  definition: PredictionModel,
  outputs: Tensors,
  name: string,
  explained: ExplainedOutput,
  rows: number,
): number[] {
  const data = Array.from(outputs[name]?.data ?? [], Number);
  const { classes, at } = placeOf(definition, explained);
  const width = data.length / rows;
  // A binary classifier may output only the probability of the second class.
  const isSecondAlone = classes === 2 && width === 1;
  if (!isSecondAlone && width !== classes)
    throw notExplainable(`The graph answers ${data.length} numbers for ${rows} rows.`);
  const numbers = Array.from({ length: rows }, (_, row) => {
    const number = data[row * width + (isSecondAlone ? 0 : at)] ?? Number.NaN;
    return isSecondAlone && at === 0 ? 1 - number : number;
  });
  if (!numbers.every(Number.isFinite))
    throw notExplainable('With some features at their defaults, the graph answers no finite number.');
  return numbers;
}

/** How many numbers an output has for a row, and which of them is explained. */
function placeOf(
  definition: PredictionModel,
  { class: label }: ExplainedOutput,
): { classes: number; at: number } {
  if (definition.task !== 'classification') return { classes: 1, at: 0 };
  const { classes } = definition;
  return { classes: classes.length, at: label === undefined ? -1 : classes.indexOf(label) };
}

function contributionOf(
  { definition, actual, baseline }: ToExplain,
  { input, at }: Player,
  contribution: number,
): Contribution {
  const [column, declared] = Object.entries(definition.inputs[input]?.columns ?? {})[at] ?? [];
  if (column === undefined || declared?.from !== 'feature')
    throw new Error('A column that is no feature differs between two rows of one request.');
  return {
    ...{ input, column, feature: declared.reference.readName },
    value: shown(actual[input]?.data[at]),
    baseline: shown(baseline[input]?.data[at]),
    contribution,
  };
}

function shown(element: number | bigint | string | undefined): number | null {
  const number = Number(element);
  return Number.isFinite(number) ? number : null;
}

function isNear(value: number, wanted: number): boolean {
  return Math.abs(value - wanted) <= PARITY_TOLERANCE * Math.max(1, Math.abs(wanted));
}

function notExplainable(detail: string): Failure {
  return new Failure('not_explainable', detail, { pointer: 'include' });
}
