/** The trees of an ensemble, node by node, as `ai.onnx.ml` describes them. */
export interface Forest {
  /** The first node of each tree. */
  readonly roots: Int32Array;
  readonly modes: Uint8Array;
  readonly columns: Int32Array;
  readonly thresholds: Float32Array;
  /** Where a row goes on if the comparison holds, and if it does not. */
  readonly whenTrue: Int32Array;
  readonly whenFalse: Int32Array;
  /** Whether the comparison holds for NaN. */
  readonly missing: Uint8Array;
  /** Of each node, where its weights begin; they end where those of the next begin. */
  readonly firstWeight: Int32Array;
  /** The target or class of each weight. */
  readonly targets: Int32Array;
  readonly weights: Float32Array;
  /** The columns that a row needs at least. */
  readonly width: number;
}

/**
 * A score that is a sum: over the columns of a row, or over the weights that trees have for a target, and an offset that
 * no row changes. `scale` multiplies the weights alone.
 */
export type Additive =
  | { readonly method: 'linear'; readonly offset: number; readonly coefficients: Float32Array }
  | {
      readonly method: 'trees';
      readonly offset: number;
      readonly forest: Forest;
      readonly target: number;
      readonly scale: number;
    };

/**
 * What the numbers of an output are made of: `identity`, each is its sum; `logistic`, each is 1 / (1 + e^−sum); `softmax`,
 * each is e^sum over that of all sums.
 */
export const LINKS = ['identity', 'logistic', 'softmax'] as const;
export type Link = (typeof LINKS)[number];

/** An output of a node whose numbers for a row, in their order, are made of sums over the row of the node's first input. */
export interface AdditiveOutput {
  /** Which output of the node it is. */
  readonly output: number;
  readonly link: Link;
  readonly sums: readonly Additive[];
}

/** Sums, and two rows as they read them. Column i of the rows is made of column i of the graph's input alone. */
export interface AdditiveRows extends Pick<AdditiveOutput, 'link' | 'sums'> {
  readonly actual: Float32Array;
  readonly baseline: Float32Array;
}
