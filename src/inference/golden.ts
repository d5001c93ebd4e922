import { type Datatype, isFloat } from '../define/datatype.ts';
import { Failure } from '../platform/failure.ts';
import type { Golden } from './bundle.ts';
import { fromJson, type JsonElement } from './json-elements.ts';
import {
  shapeFits,
  sizeOf,
  type Tensor,
  type TensorData,
  type TensorSignature,
  type Tensors,
} from './tensors.ts';

/** The most elements of one golden tensor: 64 rows of the most columns, twice. */
const ELEMENTS_MAX = 65_536;
const RANK_MAX = 8;

/**
 * The golden inputs as tensors.
 *
 * @throws Failure `invalid_model` with a pointer to what does not fit the graph.
 */
export function goldenInputs({ inputs }: Golden, signatures: readonly TensorSignature[]): Tensors {
  const pointer = '/golden/inputs';
  for (const { name } of signatures) {
    if (!Object.hasOwn(inputs, name)) throw invalid(`The golden rows have no input "${name}".`, pointer);
  }
  return tensorsOf(inputs, signatures, pointer);
}

/**
 * Compares the graph's outputs with the golden outputs: floats within the tolerance, all other types exactly.
 *
 * @throws Failure `invalid_model` with a pointer to the first output that differs.
 */
export function assertGoldenOutputs(
  { outputs, tolerance }: Golden,
  signatures: readonly TensorSignature[],
  given: Tensors,
): void {
  const pointer = '/golden/outputs';
  for (const [name, expected] of Object.entries(tensorsOf(outputs, signatures, pointer))) {
    const actual = given[name];
    if (actual === undefined || actual.shape.join() !== expected.shape.join()) {
      throw invalid(
        `The runtime does not reproduce the golden outputs: "${name}" has the shape [${actual?.shape}], not [${expected.shape}].`,
        `${pointer}/${name}`,
      );
    }
    const wrong = firstDifference(expected, actual, tolerance);
    if (wrong !== undefined) {
      throw invalid(
        `The runtime does not reproduce the golden outputs: element ${wrong} of "${name}" is ${actual.data[wrong]}, not ${expected.data[wrong]}.`,
        `${pointer}/${name}`,
      );
    }
  }
}

function tensorsOf(
  nested: Readonly<Record<string, readonly unknown[]>>,
  signatures: readonly TensorSignature[],
  pointer: string,
): Tensors {
  return Object.fromEntries(
    Object.entries(nested).map(([name, value]) => {
      const signature = signatures.find((known) => known.name === name);
      if (signature === undefined)
        throw invalid(
          `The graph has no "${name}"; it has ${signatures.map((known) => known.name).join(', ')}.`,
          `${pointer}/${name}`,
        );
      const { datatype, shape } = signature;
      const tensor = tensorOf(datatype, value);
      if (tensor === undefined)
        throw invalid(`"${name}" is not a regular nested array of ${datatype}.`, `${pointer}/${name}`);
      if (!shapeFits(tensor.shape, shape))
        throw invalid(
          `"${name}" has the shape [${tensor.shape}]; the graph has [${shape}].`,
          `${pointer}/${name}`,
        );
      return [name, tensor];
    }),
  );
}

/** The tensor of a nested array; undefined if it is ragged, too large, or has values of another type. */
function tensorOf(datatype: Datatype, nested: unknown): Tensor | undefined {
  const shape: number[] = [];
  for (let level = nested; Array.isArray(level); level = level[0]) {
    shape.push(level.length);
    if (shape.length > RANK_MAX) return undefined;
  }
  if (sizeOf(shape) > ELEMENTS_MAX) return undefined;
  const elements = flattened(nested, shape);
  if (elements === undefined) return undefined;
  const read = fromJson(datatype, elements);
  return read.ok ? { datatype, shape, data: read.data } : undefined;
}

function flattened(nested: unknown, [length, ...inner]: readonly number[]): JsonElement[] | undefined {
  if (length === undefined) {
    const isElement = ['number', 'boolean', 'string'].includes(typeof nested);
    return isElement ? [nested as JsonElement] : undefined;
  }
  if (!Array.isArray(nested) || nested.length !== length) return undefined;
  const elements: JsonElement[] = [];
  for (const part of nested) {
    const found = flattened(part, inner);
    if (found === undefined) return undefined;
    elements.push(...found);
  }
  return elements;
}

/** The index of the first element that differs. */
function firstDifference(expected: Tensor, actual: Tensor, tolerance: number): number | undefined {
  const pairs: readonly [TensorData, TensorData] = [expected.data, actual.data];
  for (let index = 0; index < pairs[0].length; index += 1) {
    const [wanted, got] = [pairs[0][index], pairs[1][index]];
    if (Object.is(wanted, got) || wanted === got) continue;
    if (!isFloat(expected.datatype) || typeof wanted !== 'number' || typeof got !== 'number') return index;
    // A NaN on one side makes the comparison false.
    if (!(Math.abs(wanted - got) <= tolerance * Math.max(1, Math.abs(wanted)))) return index;
  }
  return undefined;
}

function invalid(detail: string, pointer: string): Failure {
  return new Failure('invalid_model', detail, { pointer });
}
