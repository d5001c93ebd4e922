import { EVALUATED_ELEMENTS_MAX } from '../cold-models.ts';
import { dataOf } from '../evaluator/elements.ts';
import type { Graph } from '../graph.ts';
import type { Tensor, Tensors } from '../tensors.ts';

/** Rows of a run at most: between two runs other requests get their turn, and the deadline is observed. */
const ROWS_OF_RUN_MAX = 256;

/** A column whose value differs from its baseline. */
export interface Player {
  /** The name of the graph's input. */
  readonly input: string;
  /** The position in the row. */
  readonly at: number;
}

/** The two rows between which coalitions lie. */
export interface Ends {
  /** The row that was answered. */
  readonly actual: Tensors;
  readonly baseline: Tensors;
}

/** The columns in which the two rows differ. NaN equals NaN. */
export function playersOf({ actual, baseline }: Ends): Player[] {
  return Object.entries(actual).flatMap(([input, { data }]) =>
    Array.from({ length: data.length }, (_, at) => ({ input, at })).filter(
      ({ at }) => !Object.is(data[at], baseline[input]?.data[at]),
    ),
  );
}

/** Whether each input of a graph takes any number of rows. */
export function takesRows({ inputs }: Pick<Graph, 'inputs'>): boolean {
  return inputs.every(({ shape }) => shape[0] === -1);
}

/** How many rows a run takes: a batch that the evaluator computes too, or a single row. */
export function rowsOfRun(graph: Pick<Graph, 'inputs'>, { actual }: Ends): number {
  if (!takesRows(graph)) return 1;
  const width = Object.values(actual).reduce((sum, { data }) => sum + data.length, 0);
  return Math.max(1, Math.min(ROWS_OF_RUN_MAX, Math.floor(EVALUATED_ELEMENTS_MAX / width)));
}

/**
 * The inputs for a range of coalitions, one row for each: a player that takes part has its actual value, the others have
 * the baseline's.
 *
 * @param from the first coalition; bit i says whether player i takes part.
 * @param to the coalition after the last.
 */
export function coalitionRows(
  { actual, baseline }: Ends,
  players: readonly Player[],
  from: number,
  to: number,
): Tensors {
  return Object.fromEntries(
    Object.entries(baseline).map(([input, base]): [string, Tensor] => {
      const own = players.flatMap((player, bit) =>
        player.input === input ? [{ at: player.at, mask: 1 << bit }] : [],
      );
      const elements: (number | bigint | string)[] = [];
      for (let coalition = from; coalition < to; coalition += 1) {
        const start = elements.length;
        elements.push(...base.data);
        for (const { at, mask } of own) {
          const element = actual[input]?.data[at];
          if ((coalition & mask) !== 0 && element !== undefined) elements[start + at] = element;
        }
      }
      const rows = to - from;
      // A row is [1, n], [n], or [1] of an input of one column.
      const shape = rows === 1 ? base.shape : [rows, ...base.shape.slice(1)];
      return [input, { datatype: base.datatype, shape, data: dataOf(base.datatype, elements) }];
    }),
  );
}
