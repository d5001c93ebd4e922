import { DATATYPES, type Datatype } from '../../define/datatype.ts';
import { Failure } from '../../platform/failure.ts';
import { isText } from '../json-elements.ts';
import {
  ARRAYS,
  isTexts,
  OUTPUT_BYTES_MAX,
  sizeOf,
  type Tensor,
  type TensorData,
  type TensorSignature,
  type Tensors,
} from '../tensors.ts';
import { type OnnxInstance, WORD_BYTES } from './instance.ts';

/** ONNX's number of each element type (`TensorProto.DataType`). */
const CODES: Readonly<Record<Datatype, number>> = {
  BOOL: 9,
  INT8: 3,
  INT16: 5,
  INT32: 6,
  INT64: 7,
  UINT8: 2,
  UINT16: 4,
  UINT32: 12,
  UINT64: 13,
  FP16: 10,
  FP32: 1,
  FP64: 11,
  BYTES: 8,
};
/** The runtime's number for memory of the CPU. */
const ON_CPU = 1;
/** How the runtime reports a dimension that has no name and no value. */
const UNNAMED_DIMENSION = 4_294_967_295;

/** The loader's own decoder would drop a byte order mark. */
const TEXT = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true });

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
  run(tensors: Tensors, outputs?: readonly string[]): Tensors {
    if (this.isReleased) throw new Error('The session has been released.');
    const wanted = this.#outputPorts.filter(({ signature }) => outputs?.includes(signature.name) ?? true);
    return this.#instance.call(() => this.#run(tensors, wanted));
  }

  #run(tensors: Tensors, wanted: readonly Port[]): Tensors {
    const instance = this.#instance;
    const { module } = instance;
    const fed = this.#inputPorts.flatMap((port) => {
      const tensor = tensors[port.signature.name];
      return tensor === undefined ? [] : [{ port, tensor }];
    });
    const allocated: number[] = [];
    const handles: number[] = [];
    const outputCount = wanted.length;
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
          wanted.map(({ name }) => name),
        ),
        outputCount,
        results,
        instance.runOptions,
      );
      instance.check(status, 'run the graph');
      const room = { bytes: OUTPUT_BYTES_MAX };
      return Object.fromEntries(
        wanted.map(({ signature }, index) => [
          signature.name,
          readTensor(instance, module.getValue(results + index * WORD_BYTES, '*'), signature, room),
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
  const datatype = DATATYPES.find((known) => CODES[known] === code);
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
      if (!isText(text))
        throw new Failure('tensor_mismatch', 'A text of a tensor contains NUL.', { pointer: '/inputs' });
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
  const tensor = module._OrtCreateTensor(
    CODES[datatype],
    bytes,
    length,
    wordsOf(instance, shape),
    shape.length,
    ON_CPU,
  );
  if (tensor === 0) throw instance.failure('make a tensor');
  return tensor;
}

/** Bytes that may still be copied. */
interface Room {
  bytes: number;
}

function readTensor(
  instance: OnnxInstance,
  handle: number,
  { name, datatype }: TensorSignature,
  room: Room,
): Tensor {
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
    if (at(typeAt) !== CODES[datatype]) {
      throw new Failure(
        'model_unavailable',
        `The graph did not return the output "${name}" with the type that it declares.`,
      );
    }
    return { datatype, shape, data: elementsAt(instance, datatype, bytes, sizeOf(shape), room) };
  } finally {
    // The runtime makes a table of the texts for the caller; other elements are the tensor's own.
    if (datatype === 'BYTES' && bytes !== 0) module._free(bytes);
  }
}

/** @throws Failure `tensor_mismatch` if the outputs have more bytes than an answer may have. */
function take(room: Room, bytes: number): void {
  room.bytes -= bytes;
  if (room.bytes >= 0) return;
  const detail = `For these inputs the outputs have more than ${OUTPUT_BYTES_MAX} bytes. Send fewer rows, or ask for fewer outputs.`;
  throw new Failure('tensor_mismatch', detail, { pointer: '/inputs' });
}

function elementsAt(
  { module }: OnnxInstance,
  datatype: Datatype,
  bytes: number,
  count: number,
  room: Room,
): TensorData {
  const ArrayOf = ARRAYS[datatype];
  if (ArrayOf === undefined) {
    // A table of pointers to texts that follow one another. Only the last ends with a NUL.
    const pointer = (index: number) => module.getValue(bytes + index * WORD_BYTES, '*');
    return Array.from({ length: count }, (_, index) => {
      const start = pointer(index);
      const end = index === count - 1 ? module.HEAPU8.indexOf(0, start) : pointer(index + 1);
      take(room, WORD_BYTES + end - start);
      return TEXT.decode(module.HEAPU8.subarray(start, end));
    });
  }
  take(room, count * ArrayOf.BYTES_PER_ELEMENT);
  // A copy: the memory belongs to the tensor, and may move.
  const copy = Uint8Array.from(module.HEAPU8.subarray(bytes, bytes + count * ArrayOf.BYTES_PER_ELEMENT));
  return new ArrayOf(copy.buffer);
}
