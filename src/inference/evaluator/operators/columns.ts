import { isTexts, type Tensor } from '../../tensors.ts';
import { dataOf, floatTensor, given, matrixOf, positionsIn, singlesIn } from '../elements.ts';
import type { Node, Operator } from '../node.ts';
import { NotEvaluated, UnknownCategory } from '../not-evaluated.ts';

const { fround } = Math;

/** The elements of a tensor of numbers as FP32, as the runtime's operators of `ai.onnx.ml` read them. */
export function asSingles(tensor: Tensor | undefined): Float32Array {
  const { data } = given(tensor);
  if (data instanceof Float32Array) return data;
  if (isTexts(data)) throw new NotEvaluated('texts as numbers');
  return Float32Array.from(data, Number);
}

/** One value for all columns, or one for each. */
function perColumn(values: Float32Array, column: number): number {
  return values[values.length === 1 ? 0 : column] ?? 0;
}

const scaler: Operator = (node) => {
  const [offset, scale] = [node.floats('offset'), node.floats('scale')];
  return ([input]) => {
    const [rows, columns] = matrixOf(given(input));
    const data = asSingles(input);
    for (const values of [offset, scale])
      if (values.length !== 1 && values.length !== columns)
        throw new NotEvaluated(`Scaler of ${values.length} columns`);
    const made = new Float32Array(rows * columns);
    for (let index = 0; index < made.length; index += 1) {
      const column = index % columns;
      made[index] = fround((data[index] ?? 0) - perColumn(offset, column)) * perColumn(scale, column);
    }
    return [floatTensor(made, given(input).shape)];
  };
};

const imputer: Operator = (node) => {
  const imputed = node.floats('imputed_value_floats');
  const replaced = node.float('replaced_value_float', 0);
  return ([input]) => {
    const data = singlesIn(input);
    const [, columns] = matrixOf(given(input));
    if (imputed.length !== 1 && imputed.length !== columns)
      throw new NotEvaluated(`Imputer of ${imputed.length} columns`);
    const isMissing = Number.isNaN(replaced) ? Number.isNaN : (value: number) => value === replaced;
    const made = data.map((value, index) => (isMissing(value) ? perColumn(imputed, index % columns) : value));
    return [floatTensor(made, given(input).shape)];
  };
};

const normalizer: Operator = (node) => {
  const norm = node.text('norm', 'MAX');
  return ([input]) => {
    const data = singlesIn(input);
    const [rows, columns] = matrixOf(given(input));
    const made = new Float32Array(data.length);
    for (let row = 0; row < rows; row += 1) {
      const values = data.subarray(row * columns, (row + 1) * columns);
      const by = normOf(norm, values);
      for (const [column, value] of values.entries())
        made[row * columns + column] = by === 0 ? value : value / by;
    }
    return [floatTensor(made, given(input).shape)];
  };
};

function normOf(norm: string, values: Float32Array): number {
  let sum = 0;
  switch (norm) {
    case 'L1':
      for (const value of values) sum += Math.abs(value);
      return sum;
    case 'L2':
      for (const value of values) sum += value * value;
      return Math.sqrt(sum);
    case 'MAX':
      return Math.max(...values);
    default:
      throw new NotEvaluated(`the norm ${norm}`);
  }
}

const oneHotEncoder: Operator = (node) => {
  const texts = node.texts('cats_strings');
  const integers = node.integers('cats_int64s');
  const isZeroForUnknown = node.integer('zeros', 1) === 1;
  const width = Math.max(texts.length, integers.length);
  const found = new Map<string | number, number>([...texts, ...integers].map((value, at) => [value, at]));
  return ([input]) => {
    const { data, shape } = given(input);
    const made = new Float32Array(data.length * width);
    for (let index = 0; index < data.length; index += 1) {
      const element = data[index] ?? 0;
      const at = found.get(typeof element === 'string' ? element : Math.trunc(Number(element)));
      if (at !== undefined) made[index * width + at] = 1;
      else if (!isZeroForUnknown) throw new UnknownCategory('a category that the encoder does not know');
    }
    return [floatTensor(made, [...shape, width])];
  };
};

const labelEncoder: Operator = (node) => {
  const [keys, values] = [listOf(node, 'keys'), listOf(node, 'values')];
  const defaults = {
    strings: node.texts('default_string')[0] ?? node.text('default_string', '_Unused'),
    int64s: BigInt(node.integer('default_int64', -1)),
    floats: node.float('default_float', -0),
  };
  const found = new Map(keys.elements.map((key, at) => [key, values.elements[at] ?? 0]));
  const datatype = { strings: 'BYTES', int64s: 'INT64', floats: 'FP32' } as const;
  return ([input]) => {
    const tensor = given(input);
    if (tensor.datatype !== datatype[keys.kind])
      throw new NotEvaluated(`labels of the type ${tensor.datatype}`);
    const elements = Array.from(
      tensor.data,
      (element: number | bigint | string) => found.get(element) ?? defaults[values.kind],
    );
    const to = datatype[values.kind];
    return [{ datatype: to, shape: tensor.shape, data: dataOf(to, elements) }];
  };
};

type Kind = 'strings' | 'int64s' | 'floats';

function listOf(
  node: Node,
  name: 'keys' | 'values',
): { readonly kind: Kind; readonly elements: readonly (number | bigint | string)[] } {
  if (node.has(`${name}_strings`)) return { kind: 'strings', elements: node.texts(`${name}_strings`) };
  if (node.has(`${name}_int64s`))
    return { kind: 'int64s', elements: node.integers(`${name}_int64s`).map(BigInt) };
  if (node.has(`${name}_floats`))
    return { kind: 'floats', elements: Array.from(node.floats(`${name}_floats`)) };
  throw node.refuse(`${name} of another form`);
}

const arrayFeatureExtractor: Operator = () => {
  return ([input, indices]) => {
    const tensor = given(input);
    const width = tensor.shape.at(-1) ?? 1;
    const wanted = positionsIn(indices);
    if (!wanted.every((index) => index >= 0 && index < width))
      throw new NotEvaluated('a column that is not there');
    const rows = tensor.data.length / width;
    const elements: (number | bigint | string)[] = [];
    for (let row = 0; row < rows; row += 1)
      for (const index of wanted) elements.push(tensor.data[row * width + index] ?? 0);
    const leading = tensor.shape.length === 1 ? [1] : tensor.shape.slice(0, -1);
    return [{ ...tensor, shape: [...leading, wanted.length], data: dataOf(tensor.datatype, elements) }];
  };
};

const featureVectorizer: Operator = (node) => {
  const widths = node.integers('inputdimensions');
  return (inputs) => {
    const parts = inputs.map((input) => ({ data: asSingles(input), size: matrixOf(given(input)) }));
    const rows = parts[0]?.size[0] ?? 1;
    if (!parts.every(({ size }, at) => size[0] === rows && size[1] === widths[at]))
      throw new NotEvaluated('FeatureVectorizer of other widths');
    const width = widths.reduce((sum, of) => sum + of, 0);
    const made = new Float32Array(rows * width);
    let start = 0;
    for (const { data, size } of parts) {
      for (let row = 0; row < rows; row += 1)
        made.set(data.subarray(row * size[1], (row + 1) * size[1]), row * width + start);
      start += size[1];
    }
    return [floatTensor(made, [rows, width])];
  };
};

const binarizer: Operator = (node) => {
  const threshold = node.float('threshold', 0);
  return ([input]) => [
    floatTensor(
      singlesIn(input).map((value) => (value > threshold ? 1 : 0)),
      given(input).shape,
    ),
  ];
};

export const COLUMNS: Readonly<Record<string, Operator>> = {
  ArrayFeatureExtractor: arrayFeatureExtractor,
  Binarizer: binarizer,
  FeatureVectorizer: featureVectorizer,
  Imputer: imputer,
  LabelEncoder: labelEncoder,
  Normalizer: normalizer,
  OneHotEncoder: oneHotEncoder,
  Scaler: scaler,
};
