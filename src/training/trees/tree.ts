import type { BinnedColumns } from './bins.ts';

/** One tree, by node; the first is the root, and children come after their parent. */
export interface Tree {
  /** The column that a node compares; -1 for a leaf. */
  readonly columns: Int16Array;
  /** A row goes left if its bin is at most this. */
  readonly bins: Uint8Array;
  /** The same for a raw value: at most this float32. */
  readonly thresholds: Float32Array;
  /** 1 if a row without a value goes left. */
  readonly missingLeft: Uint8Array;
  readonly left: Int16Array;
  readonly right: Int16Array;
  /** What a leaf adds to the score, a float32. */
  readonly values: Float32Array;
}

/** Adds what a tree says of each row to its score. */
export function addTree(tree: Tree, data: BinnedColumns, scores: Float64Array): void {
  const missing = Uint8Array.from(tree.columns, (column) => data.borders[column]?.length ?? 0);
  const { bins, columns } = data;
  for (let row = 0; row < scores.length; row += 1) {
    let node = 0;
    for (let column = tree.columns[node] ?? -1; column >= 0; column = tree.columns[node] ?? -1) {
      const bin = bins[row * columns + column] ?? 0;
      const isLeft = bin === missing[node] ? tree.missingLeft[node] === 1 : bin <= (tree.bins[node] ?? 0);
      node = (isLeft ? tree.left[node] : tree.right[node]) ?? 0;
    }
    scores[row] = (scores[row] ?? 0) + (tree.values[node] ?? 0);
  }
}
