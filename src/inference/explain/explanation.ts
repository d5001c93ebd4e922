import type { PredictionModel } from '../../define/model.ts';
import { Failure } from '../../platform/failure.ts';
import type { Answer } from '../answer.ts';
import type { DegradedReason } from '../degraded.ts';
import { PARITY_TOLERANCE } from '../evaluator/parity.ts';
import type { AdditiveRows } from '../evaluator/sums.ts';
import type { Graph } from '../graph.ts';
import type { Tensors } from '../tensors.ts';
import { additiveContributions } from './additive.ts';
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
  /** The answer's number, which is the baseline and all contributions added up. */
  readonly score: number;
  /** The number for an entity whose features have all their defaults. */
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
  const made = (await summed(toExplain, ports)) ?? (await enumerated(toExplain, ports, isWanted));
  const { method, baseline, shares } = made;
  const { players, score } = toExplain;
  const contributions = players.map((player, index) => contributionOf(asked, player, shares[index] ?? 0));
  return {
    status: 'exact',
    method,
    ...explained,
    ...{ score, baseline, tolerance: PARITY_TOLERANCE },
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
  readonly baseline: number;
  readonly shares: ArrayLike<number>;
}

/** The shares in a sum; undefined if the graph is no sum, or its numbers do not add up to the answer. */
async function summed(toExplain: Explaining, { charge }: ExplainPorts): Promise<Shares | undefined> {
  const { definition, graph, actual, baseline: ends, explained, players, score } = toExplain;
  const name = definition.outputs[explained.output] ?? '';
  const rows =
    definition.task === 'regression' ? graph.additive?.(name, { actual, baseline: ends }) : undefined;
  if (rows === undefined) return undefined;
  await charge(1 + rowsWorthOf(rows));
  const ofColumns = additiveContributions(rows);
  const [baseline = Number.NaN] = numbersOf(definition, await graph.run(ends, [name]), name, explained, 1);
  if (
    !isNear(
      ofColumns.reduce((sum, share) => sum + share, baseline),
      score,
    )
  )
    return undefined;
  return { method: rows.form.method, baseline, shares: players.map(({ at }) => ofColumns[at] ?? 0) };
}

/** How many rows take as long as the walk through trees, at most: a row visits one node of a tree at least. */
function rowsWorthOf({ form }: AdditiveRows): number {
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
  return { method: 'enumeration', baseline, shares: shapleyValues(values, players.length) };
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

/** @throws Failure `not_explainable` */
function assertFew(players: number, graph: Graph): void {
  if (players > PLAYERS_MAX)
    throw notExplainable(
      `${players} columns differ from their defaults; at most ${PLAYERS_MAX} can be explained, by 2^${PLAYERS_MAX} rows.`,
    );
  if (players > PLAYERS_MAX_ROW_BY_ROW && !takesRows(graph))
    throw notExplainable(
      `${players} columns differ from their defaults; of a graph that takes one row, at most ${PLAYERS_MAX_ROW_BY_ROW} can be explained.`,
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
  { class: label }: ExplainedOutput,
  rows: number,
): number[] {
  const data = Array.from(outputs[name]?.data ?? [], Number);
  const classes = definition.task === 'classification' ? definition.classes : undefined;
  const at = label === undefined ? 0 : (classes?.indexOf(label) ?? 0);
  const width = data.length / rows;
  // A binary classifier may output only the probability of the second class.
  const isSecondAlone = classes?.length === 2 && width === 1;
  if (!isSecondAlone && width !== (classes?.length ?? 1))
    throw notExplainable(`The graph answers ${data.length} numbers for ${rows} rows.`);
  const numbers = Array.from({ length: rows }, (_, row) => {
    const number = data[row * width + (isSecondAlone ? 0 : at)] ?? Number.NaN;
    return isSecondAlone && at === 0 ? 1 - number : number;
  });
  if (!numbers.every(Number.isFinite))
    throw notExplainable('With some features at their defaults, the graph answers no finite number.');
  return numbers;
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
