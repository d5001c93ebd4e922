import { isTexts, sizeOf, type Tensor, type TensorData } from '../../tensors.ts';
import { constantTensor, EVALUATED_TYPES } from '../constants.ts';
import { aroundAxis, axisIn, dataOf, floatsIn, given, picked, positionsIn } from '../elements.ts';
import type { Operator } from '../node.ts';
import { NotEvaluated } from '../not-evaluated.ts';

function reshaped(tensor: Tensor, shape: readonly number[]): Tensor {
  if (sizeOf(shape) !== tensor.data.length) throw new NotEvaluated(`[${tensor.shape}] as [${shape}]`);
  return { ...tensor, shape };
}

const reshape: Operator = (node) => {
  const isZeroKept = node.integer('allowzero', 0) === 1;
  return ([data, wanted]) => {
    const tensor = given(data);
    const shape = positionsIn(wanted).map((dimension, at) =>
      dimension === 0 && !isZeroKept ? (tensor.shape[at] ?? 0) : dimension,
    );
    const free = shape.indexOf(-1);
    if (free >= 0) {
      const known = sizeOf(shape.filter((_, at) => at !== free));
      shape[free] = known === 0 ? 0 : tensor.data.length / known;
    }
    return [reshaped(tensor, shape)];
  };
};

const flatten: Operator = (node) => {
  const axis = node.integer('axis', 1);
  return ([data]) => {
    const tensor = given(data);
    const at = axis === tensor.shape.length ? axis : axisIn(axis, tensor.shape.length);
    return [reshaped(tensor, [sizeOf(tensor.shape.slice(0, at)), sizeOf(tensor.shape.slice(at))])];
  };
};

const squeeze: Operator = (node) => {
  const axes = node.integers('axes');
  return ([data, wanted]) => {
    const tensor = given(data);
    const { shape } = tensor;
    const sent = wanted === undefined ? axes : positionsIn(wanted);
    const dropped = new Set(
      sent.length > 0
        ? sent.map((axis) => axisIn(axis, shape.length))
        : shape.flatMap((dimension, at) => (dimension === 1 ? [at] : [])),
    );
    return [
      reshaped(
        tensor,
        shape.filter((_, at) => !dropped.has(at)),
      ),
    ];
  };
};

const unsqueeze: Operator = (node) => {
  const axes = node.integers('axes');
  return ([data, wanted]) => {
    const tensor = given(data);
    const sent = wanted === undefined ? axes : positionsIn(wanted);
    const rank = tensor.shape.length + sent.length;
    const added = new Set(sent.map((axis) => axisIn(axis, rank)));
    const rest = tensor.shape.values();
    const shape = Array.from({ length: rank }, (_, at) => (added.has(at) ? 1 : (rest.next().value ?? 1)));
    return [reshaped(tensor, shape)];
  };
};

const transpose: Operator = (node) => {
  const order = node.integers('perm');
  return ([data]) => {
    const tensor = given(data);
    const { shape } = tensor;
    const axes = order.length > 0 ? order : shape.map((_, at) => shape.length - 1 - at);
    const strides = shape.map((_, at) => sizeOf(shape.slice(at + 1)));
    const made = axes.map((axis) => shape[axis] ?? 1);
    const positions = new Int32Array(tensor.data.length);
    for (let index = 0; index < positions.length; index += 1) {
      let rest = index;
      let found = 0;
      for (let axis = axes.length - 1; axis >= 0; axis -= 1) {
        const dimension = made[axis] ?? 1;
        found += (rest % dimension) * (strides[axes[axis] ?? 0] ?? 0);
        rest = Math.floor(rest / dimension);
      }
      positions[index] = found;
    }
    return [{ ...tensor, shape: made, data: picked(tensor, positions) }];
  };
};

const gather: Operator = (node) => {
  const axis = node.integer('axis', 0);
  return ([data, indices]) => {
    const tensor = given(data);
    const at = axisIn(axis, tensor.shape.length);
    const [outer, length, inner] = aroundAxis(tensor.shape, at);
    const wanted = positionsIn(indices).map((index) => axisIn(index, length));
    const positions = new Int32Array(outer * wanted.length * inner);
    let index = 0;
    for (let first = 0; first < outer; first += 1)
      for (const position of wanted)
        for (let last = 0; last < inner; last += 1) {
          positions[index] = (first * length + position) * inner + last;
          index += 1;
        }
    const shape = [...tensor.shape.slice(0, at), ...given(indices).shape, ...tensor.shape.slice(at + 1)];
    return [{ ...tensor, shape, data: picked(tensor, positions) }];
  };
};

const concat: Operator = (node) => {
  const axis = node.integer('axis', Number.NaN);
  return (inputs) => {
    const tensors = inputs.map(given);
    const [first] = tensors;
    if (first === undefined) throw new NotEvaluated('Concat of nothing');
    const at = axisIn(axis, first.shape.length);
    const isFitting = ({ shape, datatype }: Tensor) =>
      datatype === first.datatype &&
      shape.every((dimension, of) => of === at || dimension === first.shape[of]);
    if (!tensors.every(isFitting)) throw new NotEvaluated('Concat of what does not fit');
    const [outer] = aroundAxis(first.shape, at);
    const parts = tensors.map((tensor) => ({
      data: tensor.data,
      width: tensor.data.length / Math.max(1, outer),
    }));
    const elements: (number | bigint | string)[] = [];
    for (let row = 0; row < outer; row += 1)
      for (const { data, width } of parts)
        for (let index = row * width; index < (row + 1) * width; index += 1) elements.push(data[index] ?? 0);
    const total = tensors.reduce((sum, { shape }) => sum + (shape[at] ?? 0), 0);
    const shape = first.shape.map((dimension, of) => (of === at ? total : dimension));
    return [{ datatype: first.datatype, shape, data: dataOf(first.datatype, elements) }];
  };
};

const cast: Operator = (node) => {
  const to = EVALUATED_TYPES.get(node.integer('to', 0));
  node.ignore('saturate', 'round_mode');
  if (to === undefined || to === 'BYTES') throw node.refuse(`the element type ${node.integer('to', 0)}`);
  return ([input]) => {
    const tensor = given(input);
    if (isTexts(tensor.data)) throw new NotEvaluated('Cast of texts');
    const elements = Array.from(tensor.data, Number);
    return [{ datatype: to, shape: tensor.shape, data: castTo(to, tensor, elements) }];
  };
};

function castTo(to: string, { data }: Tensor, elements: readonly number[]): TensorData {
  switch (to) {
    case 'FP32':
      return Float32Array.from(elements);
    case 'FP64':
      return Float64Array.from(elements);
    case 'BOOL':
      return Uint8Array.from(elements, (element) => (element === 0 ? 0 : 1));
    default:
      break;
  }
  if (data instanceof BigInt64Array && to === 'INT64') return data;
  // What a float beyond the range becomes is not defined.
  const bound = to === 'INT32' ? 2 ** 31 : 2 ** 63;
  if (!elements.every((element) => element >= -bound && element < bound))
    throw new NotEvaluated('Cast of a number beyond the range');
  return to === 'INT32'
    ? Int32Array.from(elements, Math.trunc)
    : BigInt64Array.from(elements, (element) => BigInt(Math.trunc(element)));
}

const argMax: Operator = (node) => {
  const axis = node.integer('axis', 0);
  const isKept = node.integer('keepdims', 1) === 1;
  const isLast = node.integer('select_last_index', 0) === 1;
  return ([input]) => {
    const data = floatsIn(input);
    const { shape } = given(input);
    const at = axisIn(axis, shape.length);
    const [outer, length, inner] = aroundAxis(shape, at);
    const found = new BigInt64Array(outer * inner);
    for (let index = 0; index < found.length; index += 1) {
      const start = Math.floor(index / inner) * length * inner + (index % inner);
      let best = 0;
      for (let other = 1; other < length; other += 1) {
        const [now, before] = [data[start + other * inner] ?? 0, data[start + best * inner] ?? 0];
        if (now > before || (isLast && now === before)) best = other;
      }
      found[index] = BigInt(best);
    }
    const made = isKept
      ? shape.map((dimension, of) => (of === at ? 1 : dimension))
      : shape.filter((_, of) => of !== at);
    return [{ datatype: 'INT64', shape: made, data: found }];
  };
};

const constant: Operator = (node) => {
  const tensor = node.tensor('value');
  const [float, integer] = [node.float('value_float', Number.NaN), node.integer('value_int', 0)];
  const [floats, integers] = [node.floats('value_floats'), node.integers('value_ints')];
  const text = node.texts('value_strings');
  let made: Tensor;
  if (tensor !== undefined) made = constantTensor(tensor);
  else if (node.has('value_float')) made = { datatype: 'FP32', shape: [], data: Float32Array.of(float) };
  else if (node.has('value_int'))
    made = { datatype: 'INT64', shape: [], data: BigInt64Array.of(BigInt(integer)) };
  else if (node.has('value_floats')) made = { datatype: 'FP32', shape: [floats.length], data: floats };
  else if (node.has('value_strings')) made = { datatype: 'BYTES', shape: [text.length], data: text };
  else made = { datatype: 'INT64', shape: [integers.length], data: BigInt64Array.from(integers, BigInt) };
  return () => [made];
};

export const SHAPES: Readonly<Record<string, Operator>> = {
  ArgMax: argMax,
  Cast: cast,
  Concat: concat,
  Constant: constant,
  Flatten: flatten,
  Gather: gather,
  Identity:
    () =>
    ([input]) => [given(input)],
  Reshape: reshape,
  Squeeze: squeeze,
  Transpose: transpose,
  Unsqueeze: unsqueeze,
};
