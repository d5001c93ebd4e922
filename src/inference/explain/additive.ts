import { holdsAt, isLeaf } from '../evaluator/operators/forest.ts';
import type { AdditiveRows, Forest } from '../evaluator/sums.ts';

/**
 * The exact Shapley values of the columns of a row, without enumerating coalitions, in double precision.
 *
 * - A linear score: coefficient × (value − baseline).
 * - Trees: for each leaf, the coalitions that reach it are those that have all of some columns and none of some others,
 *   so its share is a fraction of factorials (Lundberg et al., "From local explanations to global understanding with
 *   explainable AI for trees", 2020, interventional with one baseline).
 *
 * @returns one value for each column, in the unit of the score.
 */
export function additiveContributions({ form, actual, baseline }: AdditiveRows): Float64Array {
  const shares = new Float64Array(actual.length);
  if (form.method === 'linear') {
    for (let column = 0; column < actual.length; column += 1)
      shares[column] = (form.coefficients[column] ?? 0) * ((actual[column] ?? 0) - (baseline[column] ?? 0));
    return shares;
  }
  const walk = new TreeWalk(form.forest, actual, baseline, shares);
  for (const root of form.forest.roots) walk.from(root);
  return shares.map((share) => share * form.scale);
}

/** Visits the leaves of a tree that some coalition reaches. */
class TreeWalk {
  readonly #forest: Forest;
  readonly #actual: Float32Array;
  readonly #baseline: Float32Array;
  readonly #shares: Float64Array;
  /** The columns that the way to the node needs at their actual values, and those that it needs at their baselines. */
  readonly #present: number[] = [];
  readonly #absent: number[] = [];

  constructor(forest: Forest, actual: Float32Array, baseline: Float32Array, shares: Float64Array) {
    this.#forest = forest;
    this.#actual = actual;
    this.#baseline = baseline;
    this.#shares = shares;
  }

  /** The recursion is as deep as a row has columns at most: a column that is on the way already decides. */
  from(start: number): void {
    const forest = this.#forest;
    let node = start;
    while (!isLeaf(forest, node)) {
      const column = forest.columns[node] ?? 0;
      const [yes, no] = [forest.whenTrue[node] ?? 0, forest.whenFalse[node] ?? 0];
      const present = holdsAt(forest, node, this.#actual[column] ?? 0) ? yes : no;
      const absent = holdsAt(forest, node, this.#baseline[column] ?? 0) ? yes : no;
      if (present === absent || this.#present.includes(column)) node = present;
      else if (this.#absent.includes(column)) node = absent;
      else {
        this.#with(this.#present, column, present);
        this.#with(this.#absent, column, absent);
        return;
      }
    }
    this.#leaf(node);
  }

  #with(side: number[], column: number, node: number): void {
    side.push(column);
    this.from(node);
    side.pop();
  }

  #leaf(node: number): void {
    const { firstWeight, weights } = this.#forest;
    const [present, absent] = [this.#present.length, this.#absent.length];
    for (let at = firstWeight[node] ?? 0; at < (firstWeight[node + 1] ?? 0); at += 1) {
      const weight = weights[at] ?? 0;
      for (const column of this.#present) this.#add(column, weight * shareOf(present, absent));
      for (const column of this.#absent) this.#add(column, -weight * shareOf(absent, present));
    }
  }

  #add(column: number, value: number): void {
    this.#shares[column] = (this.#shares[column] ?? 0) + value;
  }
}

/** (own − 1)! · other! / (own + other)!, without the factorials, which overflow. */
function shareOf(own: number, other: number): number {
  let share = 1 / (own + other);
  for (let step = 1; step <= other; step += 1) share *= step / (own - 1 + step);
  return share;
}
