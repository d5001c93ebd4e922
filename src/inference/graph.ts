import type { TensorSignature, Tensors } from './tensors.ts';

/** A loaded graph. */
export interface Graph {
  readonly inputs: readonly TensorSignature[];
  readonly outputs: readonly TensorSignature[];
  /**
   * Runs the graph on all of its inputs and returns all of its outputs.
   *
   * @throws whatever the runtime throws, for instance where dimensions of two inputs do not agree.
   */
  run(inputs: Tensors): Promise<Tensors>;
}
