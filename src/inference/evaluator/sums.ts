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

/** A score that is a sum: over the columns of a row, or over trees. */
export type Additive =
  | { readonly method: 'linear'; readonly coefficients: Float32Array }
  | { readonly method: 'trees'; readonly forest: Forest; readonly scale: number };

/** A sum, and two rows as it reads them. Column i of them is made of column i of the graph's input alone. */
export interface AdditiveRows {
  readonly form: Additive;
  readonly actual: Float32Array;
  readonly baseline: Float32Array;
}
