import { floatTensor, given, matrixOf } from '../elements.ts';
import type { Kernel, Node, Operator } from '../node.ts';
import { NotEvaluated } from '../not-evaluated.ts';
import type { Additive } from '../sums.ts';
import { asSingles } from './columns.ts';
import { greatestOf, labelsOf } from './labels.ts';
import { linkOf, postTransform } from './transform.ts';

/** The weights of linear scores. */
export interface LinearScores {
  readonly targets: number;
  /** `targets` × columns. */
  readonly coefficients: Float32Array;
  /** One for each target, or none. */
  readonly intercepts: Float32Array;
}

export function linearScores(node: Node, targets: number): LinearScores {
  const [coefficients, intercepts] = [node.floats('coefficients'), node.floats('intercepts')];
  if (coefficients.length === 0 || coefficients.length % targets !== 0)
    throw node.refuse(`${coefficients.length} coefficients for ${targets} scores`);
  if (intercepts.length !== 0 && intercepts.length !== targets)
    throw node.refuse(`${intercepts.length} intercepts for ${targets} scores`);
  return { targets, coefficients, intercepts };
}

/** The scores of a row. Each sum is computed in double precision and rounded once. */
function scoresOf({ targets, coefficients, intercepts }: LinearScores, row: Float32Array): Float32Array {
  const scores = new Float32Array(targets);
  for (let target = 0; target < targets; target += 1) {
    let sum = intercepts[target] ?? 0;
    for (let column = 0; column < row.length; column += 1)
      sum += (row[column] ?? 0) * (coefficients[target * row.length + column] ?? 0);
    scores[target] = sum;
  }
  return scores;
}

function* rowsOf(
  linear: LinearScores,
  input: Parameters<typeof given>[0],
): Generator<{ readonly row: number; readonly scores: Float32Array }> {
  const [rows, columns] = matrixOf(given(input));
  const data = asSingles(input);
  if (columns * linear.targets !== linear.coefficients.length)
    throw new NotEvaluated(`${columns} columns for ${linear.coefficients.length} coefficients`);
  for (let row = 0; row < rows; row += 1)
    yield { row, scores: scoresOf(linear, data.subarray(row * columns, (row + 1) * columns)) };
}

const linearRegressor: Operator = (node) => {
  const linear = linearScores(node, node.integer('targets', 1));
  const transform = postTransform(node);
  const kernel: Kernel = ([input]) => {
    const [rows] = matrixOf(given(input));
    const made = new Float32Array(rows * linear.targets);
    for (const { row, scores } of rowsOf(linear, input)) {
      transform(scores);
      made.set(scores, row * linear.targets);
    }
    return [floatTensor(made, [rows, linear.targets])];
  };
  const isSum = linear.targets === 1 && node.text('post_transform', 'NONE') === 'NONE';
  if (!isSum) return kernel;
  return Object.assign(kernel, { additive: { output: 0, link: 'identity', sums: sumsOf(linear) } as const });
};

/** Each score of a row as a sum over its columns. */
function sumsOf({ targets, coefficients, intercepts }: LinearScores): Additive[] {
  const columns = coefficients.length / targets;
  return Array.from({ length: targets }, (_, target) => ({
    ...{ method: 'linear', offset: intercepts[target] ?? 0 },
    coefficients: coefficients.subarray(target * columns, (target + 1) * columns),
  }));
}

const linearClassifier: Operator = (node) => {
  const labels = labelsOf(node, 'classlabels_ints');
  node.ignore('multi_class');
  const linear = linearScores(node, node.floats('intercepts').length);
  if (linear.targets !== labels.count) throw node.refuse('one score for two classes');
  const transform = postTransform(node);
  const kernel: Kernel = ([input]) => {
    const [rows] = matrixOf(given(input));
    const made = new Float32Array(rows * linear.targets);
    const indexes: number[] = [];
    for (const { row, scores } of rowsOf(linear, input)) {
      indexes.push(greatestOf(scores));
      transform(scores);
      made.set(scores, row * linear.targets);
    }
    return [labels.of(indexes), floatTensor(made, [rows, linear.targets])];
  };
  return Object.assign(kernel, { additive: { output: 1, link: linkOf(node), sums: sumsOf(linear) } });
};

export const LINEAR: Readonly<Record<string, Operator>> = {
  LinearClassifier: linearClassifier,
  LinearRegressor: linearRegressor,
};
