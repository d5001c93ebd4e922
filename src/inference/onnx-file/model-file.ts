import { decodeUtf8 } from '../../platform/utf8.ts';
import { eachField, fieldsOf, integersAt, MalformedMessage, varintsOf } from './protobuf.ts';

/**
 * As much of an ONNX file (`onnx.proto` of ONNX 1.23) as the registry's rules need: what its operators are, and the
 * constants that decide whether the runtime computes them right. Weights are not copied.
 */

export interface ModelFile {
  readonly irVersion: number;
  /** By domain; the domain of ONNX's own operators is ''. */
  readonly opsets: ReadonlyMap<string, number>;
  readonly graph: GraphFile;
  /** The bodies of functions that the model defines itself. */
  readonly functions: readonly (readonly NodeFile[])[];
}

export interface GraphFile {
  readonly nodes: readonly NodeFile[];
  /** By name. */
  readonly initializers: ReadonlyMap<string, TensorFile>;
  /** The element types that the file names, by value. */
  readonly types: ReadonlyMap<string, number>;
}

export interface NodeFile {
  readonly operator: string;
  readonly domain: string;
  /** An input that the node leaves out is ''. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, AttributeFile>;
}

export interface AttributeFile {
  /** The message. `attribute-lists.ts` reads its lists. */
  readonly bytes: Uint8Array;
  readonly integer: number | undefined;
  readonly text: string | undefined;
  readonly tensor: TensorFile | undefined;
  readonly graphs: readonly GraphFile[];
}

export interface TensorFile {
  readonly type: number;
  readonly isExternal: boolean;
  /** The message. `numbersOf` reads it. */
  readonly bytes: Uint8Array;
}

/** ONNX's numbers of the element types whose constants the rules read. */
export const ELEMENT_TYPES = { FLOAT: 1, INT32: 6, INT64: 7, BOOL: 9 } as const;

/** @throws MalformedMessage */
export function readModelFile(bytes: Uint8Array): ModelFile {
  let irVersion = 0;
  let graph = readGraph(new Uint8Array());
  const opsets = new Map<string, number>();
  const functions: NodeFile[][] = [];
  for (const { number, integer, bytes: value } of fieldsOf(bytes)) {
    if (number === 1) irVersion = Number(integer);
    else if (number === 7) graph = readGraph(value);
    else if (number === 8) {
      const [domain, version] = readOpset(value);
      opsets.set(domain, version);
    } else if (number === 25)
      functions.push(
        [...fieldsOf(value)].flatMap((field) => (field.number === 7 ? [readNode(field.bytes)] : [])),
      );
  }
  return { irVersion, opsets, graph, functions };
}

function readOpset(bytes: Uint8Array): [domain: string, version: number] {
  let domain = '';
  let version = 0;
  for (const { number, integer, bytes: value } of fieldsOf(bytes)) {
    if (number === 1) domain = text(value);
    else if (number === 2) version = Number(integer);
  }
  // Both names mean ONNX's own operators.
  return [domain === 'ai.onnx' ? '' : domain, version];
}

function readGraph(bytes: Uint8Array): GraphFile {
  const nodes: NodeFile[] = [];
  const initializers = new Map<string, TensorFile>();
  const types = new Map<string, number>();
  for (const { number, bytes: value } of fieldsOf(bytes)) {
    if (number === 1) nodes.push(readNode(value));
    else if (number === 5) {
      const { name, ...tensor } = readTensor(value);
      initializers.set(name, tensor);
      types.set(name, tensor.type);
    } else if (number === 11 || number === 12 || number === 13) {
      const [name, type] = readValue(value);
      types.set(name, type);
    }
  }
  return { nodes, initializers, types };
}

function readNode(bytes: Uint8Array): NodeFile {
  const [inputs, outputs]: [string[], string[]] = [[], []];
  const attributes = new Map<string, AttributeFile>();
  let operator = '';
  let domain = '';
  for (const { number, bytes: value } of fieldsOf(bytes)) {
    if (number === 1) inputs.push(text(value));
    else if (number === 2) outputs.push(text(value));
    else if (number === 4) operator = text(value);
    else if (number === 7) domain = text(value);
    else if (number === 5) {
      const { name, ...attribute } = readAttribute(value);
      attributes.set(name, attribute);
    }
  }
  return { operator, domain: domain === 'ai.onnx' ? '' : domain, inputs, outputs, attributes };
}

function readAttribute(bytes: Uint8Array): AttributeFile & { readonly name: string } {
  const graphs: GraphFile[] = [];
  let name = '';
  let integer: number | undefined;
  let string: string | undefined;
  let tensor: TensorFile | undefined;
  eachField(bytes, (number, start, end) => {
    const content = () => bytes.subarray(start, end);
    if (number === 1) name = text(content());
    else if (number === 3)
      integersAt(bytes, start, end, (value) => {
        integer = value;
      });
    else if (number === 4) string = text(content());
    else if (number === 5) tensor = readTensor(content());
    else if (number === 6 || number === 11) graphs.push(readGraph(content()));
  });
  return { name, integer, text: string, tensor, graphs, bytes };
}

const EXTERNAL = 1n;

function readTensor(bytes: Uint8Array): TensorFile & { readonly name: string } {
  let name = '';
  let type = 0;
  let isExternal = false;
  for (const { number, integer, bytes: value } of fieldsOf(bytes)) {
    if (number === 2) type = Number(integer);
    else if (number === 8) name = text(value);
    else if (number === 14) isExternal = integer === EXTERNAL;
  }
  return { name, type, isExternal, bytes };
}

/** The name of a value, and the element type of its tensor; 0 for a value that is no tensor. */
function readValue(bytes: Uint8Array): [name: string, type: number] {
  let name = '';
  let type = 0;
  for (const { number, bytes: value } of fieldsOf(bytes)) {
    if (number === 1) name = text(value);
    else if (number === 2) type = elementType(value);
  }
  return [name, type];
}

function elementType(typeProto: Uint8Array): number {
  for (const { number, bytes } of fieldsOf(typeProto)) {
    if (number !== 1) continue;
    for (const field of fieldsOf(bytes)) if (field.number === 1) return Number(field.integer);
  }
  return 0;
}

/** The constants that the rules read have a few elements. */
const CONSTANT_BYTES_MAX = 1_024;

/** The elements of a small tensor of one of `ELEMENT_TYPES`; undefined for any other. */
export function numbersOf({ type, isExternal, bytes }: TensorFile): number[] | undefined {
  if (isExternal || bytes.length > CONSTANT_BYTES_MAX) return undefined;
  const numbers: number[] = [];
  for (const { number, integer, bytes: value } of fieldsOf(bytes)) {
    // A list is packed, or each of its elements is a field.
    if (number === 4) numbers.push(...floats(value));
    else if (number === 5 || number === 7)
      for (const element of value.length === 0 ? [integer] : varintsOf(value))
        numbers.push(Number(BigInt.asIntN(64, element)));
    else if (number === 9) {
      const raw = rawNumbers(type, value);
      if (raw === undefined) return undefined;
      numbers.push(...raw);
    }
  }
  return Object.values<number>(ELEMENT_TYPES).includes(type) ? numbers : undefined;
}

function rawNumbers(type: number, raw: Uint8Array): number[] | undefined {
  switch (type) {
    case ELEMENT_TYPES.FLOAT:
      return floats(raw);
    case ELEMENT_TYPES.INT32:
      return Array.from(new Int32Array(Uint8Array.from(raw).buffer));
    case ELEMENT_TYPES.INT64:
      return Array.from(new BigInt64Array(Uint8Array.from(raw).buffer), Number);
    case ELEMENT_TYPES.BOOL:
      return Array.from(raw);
    default:
      return undefined;
  }
}

function floats(bytes: Uint8Array): number[] {
  return Array.from(new Float32Array(Uint8Array.from(bytes).buffer));
}

function text(bytes: Uint8Array): string {
  try {
    return decodeUtf8(bytes);
  } catch {
    throw new MalformedMessage('A text is not UTF-8.');
  }
}
