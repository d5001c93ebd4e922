import wasmModule from 'onnxruntime-web/ort-wasm-simd-threaded.wasm';
import * as ort from 'onnxruntime-web/wasm';
import { Failure } from '../platform/failure.ts';

/** A float tensor, row-major. */
export interface FloatTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

export interface TensorSignature {
  readonly name: string;
  readonly datatype: 'FP32';
  /** A dimension of -1 is free. */
  readonly shape: readonly number[];
}

/** A loaded graph with one input and one output. */
export interface Graph {
  readonly input: TensorSignature;
  readonly output: TensorSignature;
  run(input: FloatTensor): Promise<FloatTensor>;
}

/** How the runtime reports a dimension that has no name and no value. */
const UNNAMED_DIMENSION = 4_294_967_295;

let initialised: Promise<void> | undefined;

/**
 * Loads a graph into the WASM runtime.
 *
 * @throws Failure `invalid_model` where the bytes are no graph of one float input and one float output.
 */
export async function loadGraph(bytes: Uint8Array<ArrayBuffer>): Promise<Graph> {
  initialised ??= initialise();
  await initialised;
  let session: ort.InferenceSession;
  try {
    session = await ort.InferenceSession.create(bytes, {
      executionProviders: ['wasm'],
      graphOptimizationLevel: 'all',
    });
  } catch (error) {
    throw new Failure('invalid_model', 'The runtime cannot load this graph.', { cause: error });
  }
  const input = signatureOf(session.inputMetadata);
  const output = signatureOf(session.outputMetadata);
  return {
    input,
    output,
    run: async ({ shape, data }) => {
      const outputs = await session.run({ [input.name]: new ort.Tensor('float32', data, [...shape]) });
      const result = outputs[output.name];
      if (result === undefined || !(result.data instanceof Float32Array)) {
        throw new Failure('model_unavailable', 'The graph did not give the output that it declares.');
      }
      return { shape: [...result.dims], data: result.data };
    },
  };
}

/**
 * workerd does not compile WebAssembly from bytes at run time, and the runtime's loader knows no other way. So
 * its one call of `WebAssembly.instantiate` is answered with the module that was compiled at deployment; the
 * bytes it is given are a placeholder.
 */
async function initialise(): Promise<void> {
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = new Uint8Array(8).buffer;
  ort.env.logLevel = 'error';
  const instantiate = WebAssembly.instantiate;
  const fromModule = async (_bytes: unknown, imports?: WebAssembly.Imports) => ({
    module: wasmModule,
    instance: await instantiate(wasmModule, imports),
  });
  Reflect.set(WebAssembly, 'instantiate', fromModule);
  try {
    // A session of no graph fails, but only after the runtime itself has started.
    await ort.InferenceSession.create(new Uint8Array(0)).catch(() => undefined);
  } finally {
    Reflect.set(WebAssembly, 'instantiate', instantiate);
  }
}

function signatureOf(metadata: readonly ort.InferenceSession.ValueMetadata[]): TensorSignature {
  const [only] = metadata;
  if (only === undefined || metadata.length !== 1 || !only.isTensor || only.type !== 'float32') {
    throw new Failure('invalid_model', 'A model has exactly one input and one output, both of type float32.');
  }
  const shape = only.shape.map((dimension) =>
    typeof dimension === 'string' || dimension === UNNAMED_DIMENSION || dimension < 0 ? -1 : dimension,
  );
  return { name: only.name, datatype: 'FP32', shape };
}
