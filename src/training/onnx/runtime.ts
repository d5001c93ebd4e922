import type { Tensors } from '../../inference/tensors.ts';

/** A graph in the memory of the runtime. */
export interface TrainingSession {
  /** Runs the graph. @param outputs the names of the outputs to compute; all of them without it. */
  run(inputs: Tensors, outputs?: readonly string[]): Tensors | Promise<Tensors>;
  /** Frees its memory. */
  release(): void;
}

/** The port to the ONNX runtime: `OnnxRuntime` in the worker, `scripts/models/node-runtime.ts` in Node. */
export interface TrainingRuntime {
  load(bytes: Uint8Array): Promise<TrainingSession>;
}
