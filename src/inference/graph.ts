import type { TensorSignature, Tensors } from './tensors.ts';

/** A loaded graph. */
export interface Graph {
  readonly inputs: readonly TensorSignature[];
  readonly outputs: readonly TensorSignature[];
  /**
   * Runs the graph on all of its inputs and returns all of its outputs.
   *
   * @throws any error of the runtime, for instance if dimensions of two inputs do not agree.
   */
  run(inputs: Tensors): Promise<Tensors>;
}
