import { type ItemReasons, REASONS_OF_ITEM, type Recommending } from '../../define/recommending.ts';
import { EVALUATED_ELEMENTS_MAX } from '../cold-models.ts';
import { shapleyValues } from './shapley.ts';

/** The most items of an answer that get reasons: with 2^4 coalitions of groups each, 320 rows. */
export const REASONED_ITEMS_MAX = 20;

/** How many rows the graph computes for the reasons of so many items. */
export function reasonRows({ reasons }: Recommending, items: number): number {
  return reasons === undefined
    ? 0
    : Math.min(items, REASONED_ITEMS_MAX) * 2 ** Object.keys(reasons.groups).length;
}

/** Why an item is recommended. */
export interface Reason {
  /** The declared name and text of the group. */
  readonly reason: string;
  readonly text: string;
  /** What the group adds to the score, in its unit. */
  readonly contribution: number;
}

/** Rows of the graph's input, row-major. */
export interface Rows {
  readonly data: Float32Array;
  readonly width: number;
}

/**
 * The reasons of some rows: what each declared group of columns adds to the score, compared with the declared baseline. A
 * contribution is the exact Shapley value of the group in the game whose players are the groups; columns in no group are
 * the same in all coalitions. So a row's score is that of its baseline and the contributions of all groups added up, of
 * which those that raise the score are reasons.
 *
 * @param columns the names of the columns, in their order.
 * @param at the rows to explain; at most `REASONED_ITEMS_MAX` are.
 * @param scoresOf one score for each row.
 * @returns for each of the explained rows its reasons, the greatest first.
 */
export async function reasonsOf(
  { groups, baseline = {}, max = REASONS_OF_ITEM }: ItemReasons,
  columns: readonly string[],
  { data, width }: Rows,
  at: readonly number[],
  scoresOf: (shape: readonly number[], data: Float32Array) => Promise<readonly number[]>,
): Promise<Reason[][]> {
  const named = Object.entries(groups);
  const positions = named.map(([, group]) => group.columns.map((column) => columns.indexOf(column)));
  const base = columns.map((column) => baseline[column] ?? 0);
  const coalitions = 2 ** named.length;
  const explained = at.slice(0, REASONED_ITEMS_MAX);
  const rows = new Float32Array(explained.length * coalitions * width);
  for (const [index, row] of explained.entries())
    for (let coalition = 0; coalition < coalitions; coalition += 1) {
      const start = (index * coalitions + coalition) * width;
      rows.set(data.subarray(row * width, (row + 1) * width), start);
      for (const [group, own] of positions.entries())
        if (((coalition >> group) & 1) === 0)
          for (const position of own) rows[start + position] = base[position] ?? 0;
    }
  const scores = await inBatches(rows, width, scoresOf);
  return explained.map((_, index) => {
    const values = scores.slice(index * coalitions, (index + 1) * coalitions);
    return reasonsFrom(named, shapleyValues(values, named.length), max);
  });
}

function reasonsFrom(
  named: readonly (readonly [string, ItemReasons['groups'][string]])[],
  contributions: Float64Array,
  max: number,
): Reason[] {
  return named
    .map(([reason, { text }], group) => ({ reason, text, contribution: contributions[group] ?? 0 }))
    .filter(({ contribution }) => contribution > 0)
    .sort((a, b) => b.contribution - a.contribution)
    .slice(0, max);
}

/** One batch, or as many as the evaluator needs. */
async function inBatches(
  rows: Float32Array,
  width: number,
  scoresOf: Parameters<typeof reasonsOf>[4],
): Promise<number[]> {
  const step = Math.max(1, Math.floor(EVALUATED_ELEMENTS_MAX / width)) * width;
  const scores: number[] = [];
  for (let from = 0; from < rows.length; from += step) {
    const part = rows.subarray(from, from + step);
    scores.push(...(await scoresOf([part.length / width, width], part)));
  }
  return scores;
}
