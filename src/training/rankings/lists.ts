/** The lists that answer a query, best first: the model's, and those that it has to beat. */
import type { Candidates } from '../../define/candidates.ts';
import type { Session } from '../../inference/graph.ts';
import type { Query } from './queries.ts';

/** How many items of a list are judged. */
export const LIST_LENGTH = 10;

/** A list of a model. */
export interface ModelList {
  readonly items: readonly string[];
  /** The row of the first item with its score; undefined if popularity answers in the model's place. */
  readonly first: { readonly values: Float32Array; readonly score: number } | undefined;
}

/** Scores the rows of one query: `[rows, width]`, row-major, to a number for each row. */
export type Scorer = (rows: Float32Array, width: number) => Float32Array;

export function scorerOf(session: Pick<Session, 'run'>, input: string, output: string): Scorer {
  return (rows, width) => {
    const shape = [rows.length / width, width];
    const made = session.run({ [input]: { datatype: 'FP32', shape, data: rows } }, [output]);
    return Float32Array.from(made[output]?.data ?? [], Number);
  };
}

/** The list of a model, as it is served: equal scores are ordered by item, and popularity answers where it has no rows. */
export function modelList(
  query: Pick<Query, 'at' | 'features'>,
  candidates: Candidates,
  score: Scorer,
): ModelList {
  const assembled = candidates.assemble(query.features, undefined, query.at);
  if (assembled === null || assembled.items.length === 0)
    return { items: popularList(candidates), first: undefined };
  const { items, rows } = assembled;
  const width = rows.length / items.length;
  const scores = score(rows, width);
  const ranked = items
    .map((item, row) => ({ item, row, score: scores[row] ?? Number.NEGATIVE_INFINITY }))
    .sort((a, b) => b.score - a.score || (a.item < b.item ? -1 : 1))
    .slice(0, LIST_LENGTH);
  const [best] = ranked;
  return {
    items: ranked.map(({ item }) => item),
    first: best && { values: rows.slice(best.row * width, (best.row + 1) * width), score: best.score },
  };
}

export function popularList(candidates: Candidates): string[] {
  return candidates.popular(LIST_LENGTH).map(({ item }) => item);
}

/** What the entity took most often, then what is popular. */
export function repeatList(own: readonly string[], candidates: Candidates): string[] {
  return [...new Set([...own, ...popularList(candidates)])].slice(0, LIST_LENGTH);
}
