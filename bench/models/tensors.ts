/** The names that `test/support/onnx/network-writer.ts` gives; the worker does not need the writer. */
export const MODEL_INPUT = 'features';
export const MODEL_OUTPUT = 'score';
