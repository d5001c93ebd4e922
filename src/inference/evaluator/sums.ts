import type { Forest } from './operators/forest.ts';

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
