import wasmModule from 'onnxruntime-web/ort-wasm-simd-threaded.wasm';
import * as ort from 'onnxruntime-web/wasm';
import { DATATYPES, type Datatype } from '../define/datatype.ts';
import { withTimeout } from '../platform/clock.ts';
import { Failure } from '../platform/failure.ts';
import type { Graph } from './graph.ts';
import type { Tensor, TensorData, TensorSignature, Tensors } from './tensors.ts';

/** How the runtime reports a dimension that has no name and no value. */
const UNNAMED_DIMENSION = 4_294_967_295;

/** The runtime's name of each element type. */
const RUNTIME_TYPES = {
  BOOL: 'bool',
  INT8: 'int8',
  INT16: 'int16',
  INT32: 'int32',
  INT64: 'int64',
  UINT8: 'uint8',
  UINT16: 'uint16',
  UINT32: 'uint32',
  UINT64: 'uint64',
  FP32: 'float32',
  FP64: 'float64',
  BYTES: 'string',
} as const satisfies Record<Datatype, ort.Tensor.Type>;

let initialised: Promise<void> | undefined;
/** Far beyond the start of the runtime, in milliseconds. */
const INITIALISE_MS = 10_000;

/**
 * Loads a graph into the WASM runtime.
 *
 * @throws Failure `invalid_model` if the bytes are not a graph, or if an input or output is not a tensor of a known
 *   type.
 */
export async function loadGraph(bytes: Uint8Array<ArrayBuffer>): Promise<Graph> {
  // The request that starts the runtime may be cancelled; then its promise never settles, and the next one starts it.
  initialised ??= initialise().catch((error: unknown) => {
    initialised = undefined;
    throw error;
  });
  await withTimeout(initialised, INITIALISE_MS, () => {
    initialised = undefined;
    return new Error(`The ONNX runtime did not start within ${INITIALISE_MS} ms.`);
  });
  let session: ort.InferenceSession;
  try {
    session = await ort.InferenceSession.create(bytes, {
      executionProviders: ['wasm'],
      graphOptimizationLevel: 'all',
    });
  } catch (error) {
    throw new Failure('invalid_model', 'The runtime cannot load this graph.', {
      pointer: '/model',
      cause: error,
    });
  }
  try {
    const inputs = session.inputMetadata.map((metadata) => signatureOf('input', metadata));
    const outputs = session.outputMetadata.map((metadata) => signatureOf('output', metadata));
    return { inputs, outputs, run: (tensors) => run(session, outputs, tensors) };
  } catch (error) {
    await session.release();
    throw error;
  }
}

async function run(
  session: ort.InferenceSession,
  outputs: readonly TensorSignature[],
  tensors: Tensors,
): Promise<Tensors> {
  const feeds = Object.entries(tensors).map(([name, { datatype, data, shape }]) => [
    name,
    new ort.Tensor(RUNTIME_TYPES[datatype], data, [...shape]),
  ]);
  const results = await session.run(Object.fromEntries(feeds));
  const read = outputs.map(({ name, datatype }): [string, Tensor] => {
    const result = results[name];
    if (result === undefined || result.type !== RUNTIME_TYPES[datatype]) {
      throw new Failure(
        'model_unavailable',
        `The graph did not return the output "${name}" with the type that it declares.`,
      );
    }
    // The runtime's array class matches `TensorData`, because the element type has been checked above.
    return [name, { datatype, shape: [...result.dims], data: result.data as TensorData }];
  });
  return Object.fromEntries(read);
}

/**
 * workerd does not compile WebAssembly from bytes at run time, and the runtime's loader has no other way. So this
 * function replaces its one call of `WebAssembly.instantiate` with the module that was compiled at deployment. The
 * bytes that the loader passes are a placeholder.
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
    // A session without a graph fails, but only after it has started the runtime itself.
    await ort.InferenceSession.create(new Uint8Array(0)).catch(() => undefined);
  } finally {
    Reflect.set(WebAssembly, 'instantiate', instantiate);
  }
}

function signatureOf(
  what: 'input' | 'output',
  metadata: ort.InferenceSession.ValueMetadata,
): TensorSignature {
  const { name } = metadata;
  if (!metadata.isTensor) {
    throw new Failure(
      'invalid_model',
      `The ${what} "${name}" is not a tensor. Export the model again so that it is one; for a classifier of skl2onnx, with options={'zipmap': False}.`,
      { pointer: '/model' },
    );
  }
  const datatype = DATATYPES.find((known) => RUNTIME_TYPES[known] === metadata.type);
  if (datatype === undefined) {
    throw new Failure(
      'invalid_model',
      `The ${what} "${name}" is of type ${metadata.type}; these are known: ${DATATYPES.join(', ')}.`,
      { pointer: '/model' },
    );
  }
  const shape = metadata.shape.map((dimension) =>
    typeof dimension === 'string' || dimension === UNNAMED_DIMENSION || dimension < 0 ? -1 : dimension,
  );
  return { name, datatype, shape };
}
