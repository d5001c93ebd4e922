import { DATATYPES, type Datatype } from '../../define/datatype.ts';
import { Failure } from '../../platform/failure.ts';
import { sizeOf, type Tensor, type TensorData, type TensorSignature, type Tensors } from '../tensors.ts';
import { type OnnxInstance, WORD_BYTES } from './instance.ts';

/** ONNX's number of each element type (`TensorProto.DataType`), and the array of its elements. */
const TYPES = {
  BOOL: { code: 9, array: Uint8Array },
  INT8: { code: 3, array: Int8Array },
  INT16: { code: 5, array: Int16Array },
  INT32: { code: 6, array: Int32Array },
  INT64: { code: 7, array: BigInt64Array },
  UINT8: { code: 2, array: Uint8Array },
  UINT16: { code: 4, array: Uint16Array },
  UINT32: { code: 12, array: Uint32Array },
  UINT64: { code: 13, array: BigUint64Array },
  FP32: { code: 1, array: Float32Array },
  FP64: { code: 11, array: Float64Array },
  BYTES: { code: 8, array: undefined },
} as const satisfies Record<Datatype, { code: number; array: unknown }>;
/** The runtime's number for memory of the CPU. */
const ON_CPU = 1;
/** How the runtime reports a dimension that has no name and no value. */
const UNNAMED_DIMENSION = 4_294_967_295;

interface Port {
  readonly signature: TensorSignature;
  /** The name as a C string that the session owns. */
  readonly name: number;
}

/** A graph in the memory of an instance. All calls are synchronous, so no run is under way when `release` is called. */
export class OnnxSession {
  readonly inputs: readonly TensorSignature[];
  readonly outputs: readonly TensorSignature[];
  readonly #instance: OnnxInstance;
  readonly #inputPorts: readonly Port[];
  readonly #outputPorts: readonly Port[];
  #handle: number;

  /**
   * @param bytes the ONNX file. The runtime copies it into its memory, and parses it into another copy.
   * @throws OnnxError if the bytes are not a graph that the runtime can run; OutOfMemory; Failure `invalid_model` if an
   *   input or output is not a tensor of a known type.
   */
  constructor(instance: OnnxInstance, bytes: Uint8Array) {
    this.#instance = instance;
    this.#handle = instance.call(() => createSession(instance, bytes));
    const names: number[] = [];
    try {
      [this.#inputPorts, this.#outputPorts] = instance.call(() => portsOf(instance, this.#handle, names));
    } catch (error) {
      this.#free(names);
      throw error;
    }
    this.inputs = this.#inputPorts.map(({ signature }) => signature);
    this.outputs = this.#outputPorts.map(({ signature }) => signature);
  }

  get isReleased(): boolean {
    return this.#handle === 0 || this.#instance.isRetired;
  }

  /** Frees the memory of the graph. Calling it again does nothing. */
  release(): void {
    this.#free([...this.#inputPorts, ...this.#outputPorts].map(({ name }) => name));
  }

  #free(names: readonly number[]): void {
    const handle = this.#handle;
    this.#handle = 0;
    // The memory of a retired instance is freed as a whole.
    if (handle === 0 || this.#instance.isRetired) return;
    const { module } = this.#instance;
    this.#instance.call(() => {
      for (const name of names) module._OrtFree(name);
      this.#instance.check(module._OrtReleaseSession(handle), 'release a session');
    });
  }

  /** @throws OnnxError for tensors that the graph cannot take; OutOfMemory. */
  run(tensors: Tensors): Tensors {
    if (this.isReleased) throw new Error('The session has been released.');
    return this.#instance.call(() => this.#run(tensors));
  }

  #run(tensors: Tensors): Tensors {
    const instance = this.#instance;
    const { module } = instance;
    const fed = this.#inputPorts.flatMap((port) => {
      const tensor = tensors[port.signature.name];
      return tensor === undefined ? [] : [{ port, tensor }];
    });
    const allocated: number[] = [];
    const handles: number[] = [];
    const outputCount = this.#outputPorts.length;
    const results = instance.words(outputCount);
    for (let index = 0; index < outputCount; index += 1)
      module.setValue(results + index * WORD_BYTES, 0, '*');
    try {
      for (const { tensor } of fed) handles.push(makeTensor(instance, tensor, allocated));
      const status = module._OrtRun(
        this.#handle,
        wordsOf(
          instance,
          fed.map(({ port }) => port.name),
        ),
        wordsOf(instance, handles),
        handles.length,
        wordsOf(
          instance,
          this.#outputPorts.map(({ name }) => name),
        ),
        outputCount,
        results,
        instance.runOptions,
      );
      instance.check(status, 'run the graph');
      return Object.fromEntries(
        this.#outputPorts.map(({ signature }, index) => [
          signature.name,
          readTensor(instance, module.getValue(results + index * WORD_BYTES, '*'), signature),
        ]),
      );
    } finally {
      if (!instance.isBroken) {
        for (let index = 0; index < outputCount; index += 1)
          module._OrtReleaseTensor(module.getValue(results + index * WORD_BYTES, '*'));
        for (const handle of handles) module._OrtReleaseTensor(handle);
        for (const pointer of allocated) module._free(pointer);
      }
    }
  }
}

function createSession(instance: OnnxInstance, bytes: Uint8Array): number {
  const { module } = instance;
  const file = instance.allocate(bytes.length);
  try {
    module.HEAPU8.set(bytes, file);
    const handle = module._OrtCreateSession(file, bytes.length, instance.sessionOptions);
    if (handle === 0) throw instance.failure('load the graph');
    return handle;
  } finally {
    if (!instance.isBroken) module._free(file);
  }
}

/** @param names is given each name as soon as the caller has to free it. */
function portsOf(instance: OnnxInstance, session: number, names: number[]): [Port[], Port[]] {
  const { module } = instance;
  const [inputs, outputs] = [instance.words(1), instance.words(1)];
  instance.check(module._OrtGetInputOutputCount(session, inputs, outputs), 'read the graph');
  const [inputCount, outputCount] = [module.getValue(inputs, 'i32'), module.getValue(outputs, 'i32')];
  const port = (what: 'input' | 'output', index: number): Port => {
    const [nameAt, metadataAt] = [instance.words(1), instance.words(1)];
    instance.check(module._OrtGetInputOutputMetadata(session, index, nameAt, metadataAt), 'read the graph');
    const name = module.getValue(nameAt, '*');
    names.push(name);
    const metadata = module.getValue(metadataAt, '*');
    try {
      return { name, signature: signatureOf(instance, what, module.UTF8ToString(name), metadata) };
    } finally {
      module._OrtFree(metadata);
    }
  };
  return [
    Array.from({ length: inputCount }, (_, index) => port('input', index)),
    Array.from({ length: outputCount }, (_, index) => port('output', inputCount + index)),
  ];
}

/**
 * @param metadata words: the element type, the rank, for each dimension its name or 0, for each dimension its value.
 */
function signatureOf(
  { module }: OnnxInstance,
  what: 'input' | 'output',
  name: string,
  metadata: number,
): TensorSignature {
  const word = (index: number) => module.getValue(metadata + index * WORD_BYTES, '*');
  const code = word(0);
  if (code === 0) {
    throw new Failure(
      'invalid_model',
      `The ${what} "${name}" is not a tensor. Export the model again so that it is one; for a classifier of skl2onnx, with options={'zipmap': False}.`,
      { pointer: '/model' },
    );
  }
  const datatype = DATATYPES.find((known) => TYPES[known].code === code);
  if (datatype === undefined) {
    throw new Failure(
      'invalid_model',
      `The ${what} "${name}" has ONNX's element type ${code}; these are known: ${DATATYPES.join(', ')}.`,
      { pointer: '/model' },
    );
  }
  const rank = word(1);
  const shape = Array.from({ length: rank }, (_, index) => {
    const value = word(2 + rank + index);
    return word(2 + index) !== 0 || value === UNNAMED_DIMENSION ? -1 : value;
  });
  return { name, datatype, shape };
}

function wordsOf(instance: OnnxInstance, values: readonly number[]): number {
  const pointer = instance.words(values.length);
  for (const [index, value] of values.entries())
    instance.module.setValue(pointer + index * WORD_BYTES, value, '*');
  return pointer;
}

/** @param allocated is given what the caller has to free after the run. */
function makeTensor(instance: OnnxInstance, { datatype, shape, data }: Tensor, allocated: number[]): number {
  const { module } = instance;
  const allocate = (bytes: number) => {
    const pointer = instance.allocate(bytes);
    allocated.push(pointer);
    return pointer;
  };
  let bytes: number;
  let length: number;
  if (isTexts(data)) {
    length = data.length * WORD_BYTES;
    bytes = allocate(length);
    for (const [index, text] of data.entries()) {
      const textBytes = module.lengthBytesUTF8(text) + 1;
      const pointer = allocate(textBytes);
      module.stringToUTF8(text, pointer, textBytes);
      module.setValue(bytes + index * WORD_BYTES, pointer, '*');
    }
  } else {
    length = data.byteLength;
    bytes = allocate(length);
    module.HEAPU8.set(new Uint8Array(data.buffer, data.byteOffset, length), bytes);
  }
  const { code } = TYPES[datatype];
  const tensor = module._OrtCreateTensor(code, bytes, length, wordsOf(instance, shape), shape.length, ON_CPU);
  if (tensor === 0) throw instance.failure('make a tensor');
  return tensor;
}

function isTexts(data: TensorData): data is readonly string[] {
  return Array.isArray(data);
}

function readTensor(instance: OnnxInstance, handle: number, { name, datatype }: TensorSignature): Tensor {
  const { module } = instance;
  const [typeAt, bytesAt, dimensionsAt, rankAt] = [1, 2, 3, 4].map(() => instance.words(1));
  const at = (pointer: number | undefined) => module.getValue(pointer ?? 0, '*');
  instance.check(
    module._OrtGetTensorData(handle, typeAt ?? 0, bytesAt ?? 0, dimensionsAt ?? 0, rankAt ?? 0),
    'read an output',
  );
  const [dimensions, bytes] = [at(dimensionsAt), at(bytesAt)];
  const shape = Array.from({ length: at(rankAt) }, (_, index) => at(dimensions + index * WORD_BYTES));
  module._OrtFree(dimensions);
  try {
    if (at(typeAt) !== TYPES[datatype].code) {
      throw new Failure(
        'model_unavailable',
        `The graph did not return the output "${name}" with the type that it declares.`,
      );
    }
    const elements = sizeOf(shape);
    return { datatype, shape, data: elementsAt(instance, datatype, bytes, elements) };
  } finally {
    // The runtime makes a table of the texts for the caller; other elements are the tensor's own.
    if (datatype === 'BYTES' && bytes !== 0) module._free(bytes);
  }
}

function elementsAt({ module }: OnnxInstance, datatype: Datatype, bytes: number, count: number): TensorData {
  const { array: ArrayOf } = TYPES[datatype];
  if (ArrayOf === undefined) {
    // A table of pointers to texts that follow one another. Only the last ends with a NUL.
    const pointer = (index: number) => module.getValue(bytes + index * WORD_BYTES, '*');
    return Array.from({ length: count }, (_, index) => {
      const bytesMax = index === count - 1 ? undefined : pointer(index + 1) - pointer(index);
      return bytesMax === 0 ? '' : module.UTF8ToString(pointer(index), bytesMax);
    });
  }
  // A copy: the memory belongs to the tensor, and may move.
  const copy = Uint8Array.from(module.HEAPU8.subarray(bytes, bytes + count * ArrayOf.BYTES_PER_ELEMENT));
  return new ArrayOf(copy.buffer);
}
