import { sizeOf } from '../../tensors.ts';
import { aroundAxis, axisIn, emptyLike, type Floats, floatsIn, floatTensor, given } from '../elements.ts';
import type { Operator } from '../node.ts';
import { NotEvaluated } from '../not-evaluated.ts';
import { broadcast, positions } from './elementwise.ts';

interface Strided {
  readonly data: Floats;
  readonly rows: number;
  readonly columns: number;
  /** Between two elements of a row, and between two rows. */
  readonly stepColumn: number;
  readonly stepRow: number;
}

function strided(data: Floats, [rows = 1, columns = 1]: readonly number[], isTransposed: boolean): Strided {
  return isTransposed
    ? { data, rows: columns, columns: rows, stepColumn: columns, stepRow: 1 }
    : { data, rows, columns, stepColumn: 1, stepRow: columns };
}

/** Each sum is computed in double precision, and rounded when it is stored. */
function multiply(a: Strided, b: Strided, made: Floats, alpha: number): void {
  if (a.columns !== b.rows) throw new NotEvaluated('two matrices that do not fit');
  for (let row = 0; row < a.rows; row += 1) {
    for (let column = 0; column < b.columns; column += 1) {
      let sum = 0;
      for (let inner = 0; inner < a.columns; inner += 1)
        sum +=
          (a.data[row * a.stepRow + inner * a.stepColumn] ?? 0) *
          (b.data[inner * b.stepRow + column * b.stepColumn] ?? 0);
      made[row * b.columns + column] = alpha * sum;
    }
  }
}

const gemm: Operator = (node) => {
  const [alpha, beta] = [node.float('alpha', 1), node.float('beta', 1)];
  const [transA, transB] = [node.integer('transA', 0) === 1, node.integer('transB', 0) === 1];
  return ([left, right, bias]) => {
    const [x, y] = [floatsIn(left), floatsIn(right)];
    if (given(left).shape.length !== 2 || given(right).shape.length !== 2)
      throw new NotEvaluated('Gemm of what is no matrix');
    const [a, b] = [strided(x, given(left).shape, transA), strided(y, given(right).shape, transB)];
    const shape = [a.rows, b.columns];
    const made = emptyLike(x, sizeOf(shape));
    multiply(a, b, made, alpha);
    if (bias !== undefined) {
      const added = floatsIn(bias);
      if (broadcast(bias.shape, shape).join() !== shape.join())
        throw new NotEvaluated('a bias that does not fit');
      const at = positions(bias.shape, shape);
      for (let index = 0; index < made.length; index += 1)
        made[index] = (made[index] ?? 0) + beta * (added[at(index)] ?? 0);
    }
    return [floatTensor(made, shape)];
  };
};

const matMul: Operator = () => {
  return ([left, right]) => {
    const [x, y] = [floatsIn(left), floatsIn(right)];
    const [a, b] = [given(left).shape, given(right).shape];
    if (a.length < 2 || b.length !== 2) throw new NotEvaluated(`MatMul of the shapes [${a}] and [${b}]`);
    const width = a[a.length - 1] ?? 1;
    const rows = sizeOf(a.slice(0, -1));
    const made = emptyLike(x, rows * (b[1] ?? 1));
    multiply(strided(x, [rows, width], false), strided(y, b, false), made, 1);
    return [floatTensor(made, [...a.slice(0, -1), b[1] ?? 1])];
  };
};

/** Before opset 13 all dimensions from the axis on are one, and the axis is 1 by default. */
function softmax(isLog: boolean): Operator {
  return (node) => {
    const isFlat = node.opset < 13;
    const axis = node.integer('axis', isFlat ? 1 : -1);
    return ([input]) => {
      const data = floatsIn(input);
      const { shape } = given(input);
      const at = axisIn(axis, shape.length);
      const [outer, length, inner] = isFlat
        ? [sizeOf(shape.slice(0, at)), sizeOf(shape.slice(at)), 1]
        : aroundAxis(shape, at);
      const made = emptyLike(data, data.length);
      for (let first = 0; first < outer; first += 1)
        for (let last = 0; last < inner; last += 1)
          softmaxAt(data, made, first * length * inner + last, length, inner, isLog);
      return [floatTensor(made, shape)];
    };
  };
}

function softmaxAt(
  data: Floats,
  made: Floats,
  start: number,
  length: number,
  step: number,
  isLog: boolean,
): void {
  let greatest = Number.NEGATIVE_INFINITY;
  for (let index = 0; index < length; index += 1)
    greatest = Math.max(greatest, data[start + index * step] ?? 0);
  let sum = 0;
  for (let index = 0; index < length; index += 1)
    sum += Math.exp((data[start + index * step] ?? 0) - greatest);
  for (let index = 0; index < length; index += 1) {
    const over = (data[start + index * step] ?? 0) - greatest;
    made[start + index * step] = isLog ? over - Math.log(sum) : Math.exp(over) / sum;
  }
}

export const MATRICES: Readonly<Record<string, Operator>> = {
  Gemm: gemm,
  LogSoftmax: softmax(true),
  MatMul: matMul,
  Softmax: softmax(false),
};
