/** The ONNX runtime of the worker, in Node: the same WASM, on one thread. */
import * as ort from 'onnxruntime-web/wasm';
import type { Datatype } from '../../src/define/datatype.ts';
import type { Tensor, TensorData, Tensors } from '../../src/inference/tensors.ts';
import type { TrainingRuntime } from '../../src/training/onnx/runtime.ts';

ort.env.wasm.numThreads = 1;
// Warnings about a graph are of no use to who trains it.
ort.env.logLevel = 'error';

/** The runtime's names of the element types that graphs of training have. */
const NAMES = { FP32: 'float32', FP64: 'float64', INT64: 'int64' } as const;
type Known = keyof typeof NAMES;

function isKnown(datatype: Datatype): datatype is Known {
  return datatype in NAMES;
}

function toRuntime({ datatype, data, shape }: Tensor): ort.Tensor {
  if (!isKnown(datatype)) throw new Error(`No graph of training has inputs of the type ${datatype}.`);
  return new ort.Tensor(NAMES[datatype], data as Float32Array, shape);
}

function fromRuntime(tensor: ort.Tensor): Tensor {
  const datatype = Object.keys(NAMES)
    .filter((name): name is Known => name in NAMES)
    .find((name) => NAMES[name] === tensor.type);
  if (datatype === undefined) throw new Error(`No graph of training has outputs of the type ${tensor.type}.`);
  return { datatype, shape: [...tensor.dims], data: tensor.data as TensorData };
}

/** Loads graphs; every session has to be released. */
export const nodeRuntime: TrainingRuntime = {
  load: async (bytes) => {
    const session = await ort.InferenceSession.create(bytes);
    return {
      run: async (inputs: Tensors, outputs?: readonly string[]) => {
        const feeds = Object.fromEntries(
          Object.entries(inputs).map(([name, tensor]) => [name, toRuntime(tensor)]),
        );
        const made = await session.run(
          feeds,
          outputs === undefined ? [...session.outputNames] : [...outputs],
        );
        return Object.fromEntries(Object.entries(made).map(([name, tensor]) => [name, fromRuntime(tensor)]));
      },
      release: () => void session.release(),
    };
  },
};
