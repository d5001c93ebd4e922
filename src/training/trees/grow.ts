/** Grows one tree, leaf by leaf: the leaf whose split gains most comes first (Shi, "Best-first decision tree learning", 2007). */

import type { TreesRecipe } from '../../define/training-recipe.ts';
import type { BinnedColumns } from './bins.ts';
import { type Derivatives, histogramOf, subtract } from './histogram.ts';
import { bestSplit, leafValue, type Split, type Sums } from './split.ts';
import type { Tree } from './tree.ts';

/** What a tree may see. */
export interface Sample {
  /** Row numbers, ascending. The array is reordered. */
  readonly order: Uint32Array;
  /** Column numbers, ascending. */
  readonly columns: Uint16Array;
}

/** A leaf that may be split: rows `order[start … end)`. */
interface Leaf {
  readonly node: number;
  readonly depth: number;
  readonly start: number;
  readonly end: number;
  readonly sums: Sums;
  readonly histogram: Float64Array;
  readonly split: Split;
}

interface GrowingNode {
  readonly sums: Sums;
  split?: Split;
  left: number;
  right: number;
}

/** @returns undefined if no split is allowed. */
export function growTree(
  data: BinnedColumns,
  derivatives: Derivatives,
  sample: Sample,
  recipe: TreesRecipe,
): Tree | undefined {
  const growing = new Growing(data, derivatives, sample, recipe);
  return growing.grow();
}

class Growing {
  readonly #data: BinnedColumns;
  readonly #derivatives: Derivatives;
  readonly #sample: Sample;
  readonly #recipe: TreesRecipe;
  readonly #scratch: Uint32Array;
  readonly #nodes: GrowingNode[] = [];
  /** Leaves that can be split, in the order in which they were made. */
  readonly #open: Leaf[] = [];

  constructor(data: BinnedColumns, derivatives: Derivatives, sample: Sample, recipe: TreesRecipe) {
    this.#data = data;
    this.#derivatives = derivatives;
    this.#sample = sample;
    this.#recipe = recipe;
    this.#scratch = new Uint32Array(sample.order.length);
  }

  grow(): Tree | undefined {
    const { order } = this.#sample;
    const histogram = this.#histogram(0, order.length);
    const sums = this.#sums();
    this.#add(0, [0, order.length], sums, histogram);
    let leaves = 1;
    for (let leaf = this.#take(); leaf !== undefined; leaf = this.#take()) {
      this.#split(leaf);
      leaves += 1;
      if (leaves === this.#recipe.leaves) break;
    }
    return leaves === 1 ? undefined : treeOf(this.#nodes, this.#data, this.#recipe);
  }

  #histogram(start: number, end: number): Float64Array {
    const { order, columns } = this.#sample;
    return histogramOf(this.#data, this.#derivatives, order, [start, end], columns);
  }

  #sums(): Sums {
    const { order } = this.#sample;
    let [first, second] = [0, 0];
    for (const row of order) {
      first += this.#derivatives.first[row] ?? 0;
      second += this.#derivatives.second[row] ?? 0;
    }
    return { first, second, rows: order.length };
  }

  /** Adds a node, and opens it if a split is allowed. @returns its number. */
  #add(depth: number, [start, end]: readonly [number, number], sums: Sums, histogram: Float64Array): number {
    const node = this.#nodes.length;
    this.#nodes.push({ sums, left: -1, right: -1 });
    if (depth === this.#recipe.depth || end - start < 2 * this.#recipe.leafRows) return node;
    const split = bestSplit(this.#data, histogram, sums, this.#sample.columns, this.#recipe);
    if (split !== undefined) this.#open.push({ node, depth, start, end, sums, histogram, split });
    return node;
  }

  /** Takes the open leaf that gains most; of equal ones the oldest. */
  #take(): Leaf | undefined {
    let best = -1;
    for (const [at, { split }] of this.#open.entries())
      if (best < 0 || split.gain > (this.#open[best]?.split.gain ?? 0)) best = at;
    return best < 0 ? undefined : this.#open.splice(best, 1)[0];
  }

  #split({ node, depth, start, end, histogram, split }: Leaf): void {
    const middle = this.#partition(start, end, split);
    const isLeftSmaller = middle - start <= end - middle;
    const small = isLeftSmaller ? this.#histogram(start, middle) : this.#histogram(middle, end);
    const large = subtract(histogram, small);
    const parent = this.#nodes[node];
    if (parent === undefined) return;
    parent.split = split;
    parent.left = this.#add(depth + 1, [start, middle], split.left, isLeftSmaller ? small : large);
    parent.right = this.#add(depth + 1, [middle, end], split.right, isLeftSmaller ? large : small);
  }

  /** Moves the rows that go left before the others; the rows of each side keep their order. */
  #partition(start: number, end: number, { column, bin, missingLeft }: Split): number {
    const { order } = this.#sample;
    const { bins, columns, borders } = this.#data;
    const missing = borders[column]?.length ?? 0;
    let [left, right] = [start, 0];
    for (let at = start; at < end; at += 1) {
      const row = order[at] ?? 0;
      const of = bins[row * columns + column] ?? 0;
      if (of === missing ? missingLeft : of <= bin) {
        order[left] = row;
        left += 1;
      } else {
        this.#scratch[right] = row;
        right += 1;
      }
    }
    order.set(this.#scratch.subarray(0, right), left);
    return left;
  }
}

function treeOf(
  nodes: readonly GrowingNode[],
  { borders }: BinnedColumns,
  { learningRate, l2 }: TreesRecipe,
): Tree {
  return {
    columns: Int16Array.from(nodes, ({ split }) => split?.column ?? -1),
    bins: Uint8Array.from(nodes, ({ split }) => split?.bin ?? 0),
    thresholds: Float32Array.from(nodes, ({ split }) => borders[split?.column ?? -1]?.[split?.bin ?? 0] ?? 0),
    missingLeft: Uint8Array.from(nodes, ({ split }) => (split?.missingLeft ? 1 : 0)),
    left: Int16Array.from(nodes, ({ left }) => left),
    right: Int16Array.from(nodes, ({ right }) => right),
    values: Float32Array.from(nodes, ({ sums, split }) =>
      split === undefined ? learningRate * leafValue(sums, l2) : 0,
    ),
  };
}
