import type { AdditiveRows } from './evaluator/sums.ts';
import type { TensorSignature, Tensors } from './tensors.ts';

interface Signature {
  readonly inputs: readonly TensorSignature[];
  readonly outputs: readonly TensorSignature[];
}

/** A graph that can run whenever it is asked to. */
export interface Graph extends Signature {
  /**
   * Runs the graph on all of its inputs.
   *
   * @param outputs the names of the outputs to compute; all of them without it.
   * @throws any error of the runtime, for instance if dimensions of two inputs do not agree.
   */
  run(inputs: Tensors, outputs?: readonly string[]): Promise<Tensors>;
  /**
   * The sums that an output is made of, with two rows as the sums read them; undefined if they are not known.
   *
   * @param ends the inputs of one row each.
   */
  additive?(
    output: string,
    ends: { readonly actual: Tensors; readonly baseline: Tensors },
  ): AdditiveRows | undefined;
}

/** A graph in the memory of the runtime, until it is released. */
export interface Session extends Signature {
  /** The memory that it takes, in bytes: an estimate from above. */
  readonly bytes: number;
  /** Whether it was released, or the runtime has lost it. It cannot run then. */
  readonly isReleased: boolean;
  /** As `Graph.run`. It is synchronous, so that no run is under way when the session is released. */
  run(inputs: Tensors, outputs?: readonly string[]): Tensors;
  /** Frees its memory. Calling it again does nothing. */
  release(): void;
}
