import { holdsAt, isLeaf } from '../evaluator/operators/forest.ts';
import type { Additive, AdditiveRows, Forest, Link } from '../evaluator/sums.ts';

/** Two rows, as the sums read them. */
type Rows = Pick<AdditiveRows, 'actual' | 'baseline'>;

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
export function additiveContributions(form: Additive, { actual, baseline }: Rows): Float64Array {
  const shares = new Float64Array(actual.length);
  if (form.method === 'linear') {
    for (let column = 0; column < actual.length; column += 1)
      shares[column] = (form.coefficients[column] ?? 0) * ((actual[column] ?? 0) - (baseline[column] ?? 0));
    return shares;
  }
  const walk = new TreeWalk(form, actual, baseline, shares);
  for (const root of form.forest.roots) walk.from(root);
  return shares.map((share) => share * form.scale);
}

/** The sum of a row, in double precision. */
export function sumOf(form: Additive, row: Float32Array): number {
  if (form.method === 'linear')
    return form.coefficients.reduce(
      (sum, coefficient, at) => sum + coefficient * (row[at] ?? 0),
      form.offset,
    );
  const { forest, target, scale, offset } = form;
  let sum = 0;
  for (const root of forest.roots) {
    let node = root;
    while (!isLeaf(forest, node)) {
      const next = holdsAt(forest, node, row[forest.columns[node] ?? 0] ?? 0)
        ? forest.whenTrue
        : forest.whenFalse;
      node = next[node] ?? 0;
    }
    for (const at of weightsOf(forest, node))
      if (forest.targets[at] === target) sum += forest.weights[at] ?? 0;
  }
  return offset + scale * sum;
}

/** The numbers that a link makes of the sums of a row. */
export function linked(link: Link, sums: readonly number[]): number[] {
  if (link === 'identity') return [...sums];
  if (link === 'logistic') return sums.map((sum) => 1 / (1 + Math.exp(-sum)));
  const greatest = Math.max(...sums);
  const powers = sums.map((sum) => Math.exp(sum - greatest));
  const all = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / all);
}

/** The places of a node's weights. */
function* weightsOf({ firstWeight }: Forest, node: number): Generator<number> {
  for (let at = firstWeight[node] ?? 0; at < (firstWeight[node + 1] ?? 0); at += 1) yield at;
}

/** Visits the leaves of a tree that some coalition reaches. */
class TreeWalk {
  readonly #forest: Forest;
  readonly #target: number;
  readonly #actual: Float32Array;
  readonly #baseline: Float32Array;
  readonly #shares: Float64Array;
  /** The columns that the way to the node needs at their actual values, and those that it needs at their baselines. */
  readonly #present: number[] = [];
  readonly #absent: number[] = [];

  constructor(
    { forest, target }: Extract<Additive, { method: 'trees' }>,
    actual: Float32Array,
    baseline: Float32Array,
    shares: Float64Array,
  ) {
    this.#forest = forest;
    this.#target = target;
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
    const { targets, weights } = this.#forest;
    const [present, absent] = [this.#present.length, this.#absent.length];
    for (const at of weightsOf(this.#forest, node)) {
      if (targets[at] !== this.#target) continue;
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
