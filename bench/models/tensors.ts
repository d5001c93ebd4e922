/** The names that `src/training/onnx-writer.ts` gives; the worker does not need the writer. */
export const MODEL_INPUT = 'features';
export const MODEL_OUTPUT = 'score';
