import { sizeOf, type Tensor } from '../../tensors.ts';
import { emptyLike, floatsIn, floatTensor, given } from '../elements.ts';
import type { Operator } from '../node.ts';
import { NotEvaluated } from '../not-evaluated.ts';

type Unary = (value: number) => number;
type Binary = (left: number, right: number) => number;

const sigmoid: Unary = (x) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));

function mapping(of: (attributes: { float(name: string, byDefault: number): number }) => Unary): Operator {
  return (node) => {
    const compute = of(node);
    return ([input]) => [mapped(input, compute)];
  };
}

function mapped(input: Tensor | undefined, compute: Unary): Tensor {
  const data = floatsIn(input);
  const made = emptyLike(data, data.length);
  for (let index = 0; index < data.length; index += 1) made[index] = compute(data[index] ?? 0);
  return floatTensor(made, given(input).shape);
}

/** Bounds are attributes before opset 11, and inputs since then. */
const clip: Operator = (node) => {
  const [low, high] = [
    node.float('min', Number.NEGATIVE_INFINITY),
    node.float('max', Number.POSITIVE_INFINITY),
  ];
  return ([input, least, most]) => {
    const min = least === undefined ? low : (floatsIn(least)[0] ?? low);
    const max = most === undefined ? high : (floatsIn(most)[0] ?? high);
    return [mapped(input, (x) => Math.min(Math.max(x, min), max))];
  };
};

function combining(compute: Binary): Operator {
  return () =>
    ([left, right]) => {
      const [a, b] = [given(left), given(right)];
      const [x, y] = [floatsIn(a), floatsIn(b)];
      if (a.datatype !== b.datatype) throw new NotEvaluated('two element types');
      const shape = broadcast(a.shape, b.shape);
      const made = emptyLike(x, sizeOf(shape));
      const [atA, atB] = [positions(a.shape, shape), positions(b.shape, shape)];
      for (let index = 0; index < made.length; index += 1)
        made[index] = compute(x[atA(index)] ?? 0, y[atB(index)] ?? 0);
      return [floatTensor(made, shape)];
    };
}

/** The shape of two shapes together, by ONNX's rule of broadcasting. @throws NotEvaluated if they do not fit. */
export function broadcast(one: readonly number[], other: readonly number[]): number[] {
  const rank = Math.max(one.length, other.length);
  return Array.from({ length: rank }, (_, at) => {
    const [a, b] = [one[at - rank + one.length] ?? 1, other[at - rank + other.length] ?? 1];
    if (a !== b && a !== 1 && b !== 1) throw new NotEvaluated(`the shapes [${one}] and [${other}] together`);
    return a === 1 ? b : a;
  });
}

/** The position in a tensor of each position in the tensor that it is broadcast to. */
export function positions(shape: readonly number[], to: readonly number[]): (index: number) => number {
  const size = sizeOf(shape);
  if (size === sizeOf(to)) return (index) => index;
  // Equal last dimensions after leading ones: a scalar, or a row of each row.
  const tail = shape.slice(shape.findIndex((dimension) => dimension !== 1));
  if (size === 1 || tail.every((dimension, at) => dimension === to[to.length - tail.length + at]))
    return (index) => index % size;
  const strides = stridesOf(shape, to.length);
  return (index) => {
    let rest = index;
    let found = 0;
    for (let axis = to.length - 1; axis >= 0; axis -= 1) {
      const dimension = to[axis] ?? 1;
      found += (rest % dimension) * (strides[axis] ?? 0);
      rest = Math.floor(rest / dimension);
    }
    return found;
  };
}

/** 0 for a dimension that is repeated. */
function stridesOf(shape: readonly number[], rank: number): number[] {
  const strides = new Array<number>(rank).fill(0);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis -= 1) {
    const dimension = shape[axis] ?? 1;
    strides[axis + rank - shape.length] = dimension === 1 ? 0 : stride;
    stride *= dimension;
  }
  return strides;
}

export const ELEMENTWISE: Readonly<Record<string, Operator>> = {
  Abs: mapping(() => Math.abs),
  Add: combining((a, b) => a + b),
  Clip: clip,
  Div: combining((a, b) => a / b),
  Elu: mapping((node) => {
    const alpha = node.float('alpha', 1);
    return (x) => (x >= 0 ? x : alpha * (Math.exp(x) - 1));
  }),
  Exp: mapping(() => Math.exp),
  LeakyRelu: mapping((node) => {
    const alpha = node.float('alpha', Math.fround(0.01));
    return (x) => (x >= 0 ? x : alpha * x);
  }),
  Log: mapping(() => Math.log),
  Mul: combining((a, b) => a * b),
  Neg: mapping(() => (x) => -x),
  Relu: mapping(() => (x) => Math.max(0, x)),
  Sigmoid: mapping(() => sigmoid),
  Softplus: mapping(() => (x) => Math.max(0, x) + Math.log1p(Math.exp(-Math.abs(x)))),
  Sqrt: mapping(() => Math.sqrt),
  Sub: combining((a, b) => a - b),
  Tanh: mapping(() => Math.tanh),
};
