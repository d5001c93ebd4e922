/** Measures of ranked lists of distinct items, with binary relevance. */

/** The figures of one list, each 0 to 1. */
export interface ListFigures {
  /** The share of the relevant items that are in the first `k`. */
  readonly recall: number;
  /** Discounted gain by the best order possible (Järvelin and Kekäläinen, 2002). */
  readonly ndcg: number;
  /** 1 if the first `k` hold any relevant item. */
  readonly hit: number;
  /** One by the place of the first relevant item, 0 if it is not among the first `k`. */
  readonly reciprocalRank: number;
}

/**
 * Judges one list, best first.
 *
 * @param relevant must not be empty.
 * @param k how many items of the list are judged.
 */
export function judgeList(list: readonly string[], relevant: ReadonlySet<string>, k: number): ListFigures {
  let [hits, gain, first] = [0, 0, 0];
  for (const [position, item] of list.slice(0, k).entries()) {
    if (!relevant.has(item)) continue;
    hits += 1;
    gain += discount(position);
    first ||= position + 1;
  }
  let ideal = 0;
  for (let position = 0; position < Math.min(k, relevant.size); position += 1) ideal += discount(position);
  return {
    recall: hits / relevant.size,
    ndcg: gain / ideal,
    hit: hits > 0 ? 1 : 0,
    reciprocalRank: first === 0 ? 0 : 1 / first,
  };
}

function discount(position: number): number {
  return 1 / Math.log2(position + 2);
}

/** The share of a catalog's items that are among the first `k` of any list. */
export function coverageOf(lists: Iterable<readonly string[]>, items: number, k: number): number {
  const shown = new Set<string>();
  for (const list of lists) for (const item of list.slice(0, k)) shown.add(item);
  return items === 0 ? 0 : shown.size / items;
}
