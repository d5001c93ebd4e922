import * as z from 'zod';
import { Failure, jsonPointer } from '../../platform/failure.ts';
import { assertJsonElements, checkedTensors, jsonTensor, mismatch } from '../tensor-request.ts';
import {
  JSON_ELEMENTS_MAX,
  RANK_MAX,
  sizeOf,
  TENSORS_MAX,
  type Tensor,
  type TensorSignature,
  type Tensors,
} from '../tensors.ts';
import { fromBinary } from './binary.ts';

const NAME_CHARACTERS_MAX = 256;

const Parameters = z.record(z.string().max(NAME_CHARACTERS_MAX), z.unknown()).optional();

const InferInput = z.object({
  name: z.string().max(NAME_CHARACTERS_MAX),
  datatype: z.string().max(16),
  shape: z.array(z.int().min(0)).max(RANK_MAX),
  parameters: Parameters,
  data: z
    .array(z.unknown())
    .max(JSON_ELEMENTS_MAX)
    .optional()
    .meta({ description: 'flat, or nested in the form of the shape; absent if the data are binary' }),
});
type InferInput = z.output<typeof InferInput>;

const InferOutput = z.object({ name: z.string().max(NAME_CHARACTERS_MAX), parameters: Parameters });

/** The request of an inference (Open Inference Protocol v2, REST), without its binary data. */
export const InferRequest = z.object({
  id: z.string().max(NAME_CHARACTERS_MAX).optional(),
  parameters: Parameters,
  inputs: z.array(InferInput).max(TENSORS_MAX),
  outputs: z.array(InferOutput).max(TENSORS_MAX).optional(),
});

/** An output that the client asks for. */
export interface WantedOutput {
  readonly name: string;
  readonly isBinary: boolean;
}

export interface Inference {
  readonly id: string | undefined;
  readonly tensors: Tensors;
  /** In the order of the answer. */
  readonly outputs: readonly WantedOutput[];
}

interface Signatures {
  readonly inputs: readonly TensorSignature[];
  readonly outputs: readonly TensorSignature[];
}

/** Parameters of the protocol's extensions that Millrace does not have: ignoring them would change the result. */
const UNSUPPORTED = ['sequence_id', 'shared_memory_region', 'classification'];

/**
 * Reads the request of an inference and checks it against the graph.
 *
 * @param json as `parseJson` returns it.
 * @param binary the bytes after the JSON: the data of the inputs that have `binary_data_size`, in their order.
 * @throws Failure `invalid_request`, `tensor_mismatch`.
 */
export function readInference(json: unknown, binary: Uint8Array, signatures: Signatures): Inference {
  const parsed = InferRequest.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw invalid(issue?.message ?? 'Not a request of an inference.', jsonPointer(issue?.path ?? []));
  }
  const { id, parameters, inputs, outputs } = parsed.data;
  assertSupported(parameters, '');
  const parts = binaryParts(inputs, binary);
  const tensors = checkedTensors(inputs, signatures.inputs, (sent, signature, pointer) =>
    tensorOf(sent, parts.get(sent), signature, pointer),
  );
  const inJson = inputs.filter((input) => !parts.has(input)).flatMap(({ name }) => tensors[name] ?? []);
  assertJsonElements(inJson, 'inputs', 'Send them as binary data, or fewer rows.');
  return { id, tensors, outputs: wantedOutputs(outputs ?? [], parameters, signatures) };
}

/** The bytes of each input that has binary data. */
function binaryParts(inputs: readonly InferInput[], binary: Uint8Array): ReadonlyMap<InferInput, Uint8Array> {
  const parts = new Map<InferInput, Uint8Array>();
  let offset = 0;
  for (const [index, input] of inputs.entries()) {
    const pointer = `/inputs/${index}`;
    assertSupported(input.parameters, pointer);
    const size = input.parameters?.['binary_data_size'];
    if (size === undefined) continue;
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
      throw invalid('binary_data_size is a number of bytes.', `${pointer}/parameters/binary_data_size`);
    if (input.data !== undefined)
      throw invalid('An input has data or binary_data_size, not both.', `${pointer}/data`);
    if (offset + size > binary.length)
      throw invalid(
        `The binary data end after ${binary.length} bytes; the inputs need ${offset + size}. The header Inference-Header-Content-Length has the length of the JSON before them.`,
        `${pointer}/parameters/binary_data_size`,
      );
    parts.set(input, binary.subarray(offset, offset + size));
    offset += size;
  }
  if (offset !== binary.length)
    throw invalid(
      `After the JSON follow ${binary.length} bytes of binary data; the inputs name ${offset}.`,
      '/inputs',
    );
  return parts;
}

function tensorOf(
  { shape, data }: InferInput,
  bytes: Uint8Array | undefined,
  signature: TensorSignature,
  pointer: string,
): Tensor {
  const { datatype } = signature;
  if (bytes !== undefined)
    return { datatype, shape, data: fromBinary(datatype, bytes, sizeOf(shape), pointer) };
  if (data === undefined)
    throw invalid('The input has neither data nor parameters.binary_data_size.', pointer);
  // The parser has compared each integer with its text.
  const tensor = jsonTensor({ shape, data }, signature, pointer, Number.isInteger);
  if (datatype !== 'BYTES' && data.flat(RANK_MAX).some((element) => isNonFinite(element)))
    throw mismatch(
      'JSON has finite numbers only. Send NaN and the infinities as binary data.',
      `${pointer}/data`,
    );
  return tensor;
}

/** `NaN`, `Infinity` and `-Infinity`, which other routes take as texts. */
function isNonFinite(element: unknown): boolean {
  return typeof element === 'string' && /^(NaN|-?Infinity)$/.test(element);
}

/** All outputs of the graph if the client names none. */
function wantedOutputs(
  sent: readonly z.output<typeof InferOutput>[],
  parameters: Readonly<Record<string, unknown>> | undefined,
  { outputs }: Signatures,
): WantedOutput[] {
  const areBinary = isSet(parameters, 'binary_data_output', '/parameters');
  const names = outputs.map(({ name }) => name);
  if (sent.length === 0) return names.map((name) => ({ name, isBinary: areBinary }));
  const wanted = new Map<string, WantedOutput>();
  for (const [index, { name, parameters: own }] of sent.entries()) {
    const pointer = `/outputs/${index}`;
    assertSupported(own, pointer);
    if (!names.includes(name))
      throw mismatch(`The model has no output "${name}"; it has ${names.join(', ')}.`, `${pointer}/name`);
    if (wanted.has(name)) throw mismatch(`The output "${name}" occurs twice.`, `${pointer}/name`);
    const isBinary =
      own?.['binary_data'] === undefined ? areBinary : isSet(own, 'binary_data', `${pointer}/parameters`);
    wanted.set(name, { name, isBinary });
  }
  return [...wanted.values()];
}

function isSet(
  parameters: Readonly<Record<string, unknown>> | undefined,
  name: string,
  pointer: string,
): boolean {
  const value = parameters?.[name] ?? false;
  if (typeof value !== 'boolean') throw invalid(`${name} is true or false.`, `${pointer}/${name}`);
  return value;
}

function assertSupported(parameters: Readonly<Record<string, unknown>> | undefined, pointer: string): void {
  const found = UNSUPPORTED.find((name) => parameters?.[name] !== undefined && parameters[name] !== 0);
  if (found === undefined) return;
  throw invalid(`Millrace does not have the extension of ${found}.`, `${pointer}/parameters/${found}`);
}

function invalid(detail: string, pointer: string): Failure {
  return new Failure('invalid_request', detail, { pointer });
}
