import { floatTensor, given, matrixOf } from '../elements.ts';
import type { Kernel, Node, Operator } from '../node.ts';
import { NotEvaluated } from '../not-evaluated.ts';
import type { Additive, Forest } from '../sums.ts';
import { asSingles } from './columns.ts';
import { type Aggregate, readForest, scoreRow } from './forest.ts';
import { greatestOf, labelsOf } from './labels.ts';
import { linkOf, logistic, postTransform } from './transform.ts';

const AGGREGATES: readonly Aggregate[] = ['SUM', 'AVERAGE', 'MIN', 'MAX'];

interface Scored {
  readonly row: number;
  readonly scores: Float32Array;
  readonly isScored: Uint8Array;
}

/** The scores of each row, before the base values. */
function* rowsOf(
  forest: Forest,
  targets: number,
  aggregate: Aggregate,
  input: Parameters<typeof given>[0],
): Generator<Scored> {
  const [rows, columns] = matrixOf(given(input));
  if (columns < forest.width) throw new NotEvaluated(`${columns} columns for trees of ${forest.width}`);
  const data = asSingles(input);
  for (let row = 0; row < rows; row += 1) {
    const scored = { row, scores: new Float32Array(targets), isScored: new Uint8Array(targets) };
    scoreRow(forest, data, row * columns, { aggregate, ...scored });
    yield scored;
  }
}

function aggregateOf(node: Node): Aggregate {
  const name = node.text('aggregate_function', 'SUM');
  const found = AGGREGATES.find((aggregate) => aggregate === name);
  if (found === undefined) throw node.refuse(`the aggregate ${name}`);
  return found;
}

const treeRegressor: Operator = (node) => {
  const targets = node.integer('n_targets', 1);
  const aggregate = aggregateOf(node);
  const bases = node.floats('base_values');
  const forest = readForest(node, 'target');
  assertTargets(node, forest, targets);
  if (node.text('post_transform', 'NONE') !== 'NONE') throw node.refuse('a transform of a regression');
  if (bases.length !== 0 && bases.length !== targets) throw node.refuse('base values for other targets');
  const kernel: Kernel = ([input]) => {
    const [rows] = matrixOf(given(input));
    const made = new Float32Array(rows * targets);
    for (const { row, scores } of rowsOf(forest, targets, aggregate, input))
      for (const [target, score] of scores.entries()) {
        const total = aggregate === 'AVERAGE' ? Math.fround(score / forest.roots.length) : score;
        made[row * targets + target] = total + (bases[target] ?? 0);
      }
    return [floatTensor(made, [rows, targets])];
  };
  const isSum = targets === 1 && (aggregate === 'SUM' || aggregate === 'AVERAGE');
  if (!isSum) return kernel;
  const scale = aggregate === 'AVERAGE' ? 1 / forest.roots.length : 1;
  const sum: Additive = { method: 'trees', forest, target: 0, scale, offset: bases[0] ?? 0 };
  return Object.assign(kernel, { additive: { output: 0, link: 'identity', sums: [sum] } as const });
};

function assertTargets(node: Node, { targets }: Forest, count: number): void {
  if (!targets.every((target) => target >= 0 && target < count)) throw node.refuse('a weight of no target');
}

const treeClassifier: Operator = (node) => {
  const labels = labelsOf(node, 'classlabels_int64s');
  const bases = node.floats('base_values');
  const forest = readForest(node, 'class');
  assertTargets(node, forest, labels.count);
  if (labels.count === 2) return binaryClassifier(node, forest, bases);
  if (labels.count < 2) throw node.refuse('a single class');
  if (bases.length !== 0 && bases.length !== labels.count) throw node.refuse('base values for other classes');
  const transform = postTransform(node);
  const kernel: Kernel = ([input]) => {
    const [rows] = matrixOf(given(input));
    const made = new Float32Array(rows * labels.count);
    const indexes: number[] = [];
    for (const { row, scores } of rowsOf(forest, labels.count, 'SUM', input)) {
      for (const [at, base] of bases.entries()) scores[at] = (scores[at] ?? 0) + base;
      indexes.push(greatestOf(scores));
      transform(scores);
      made.set(scores, row * labels.count);
    }
    return [labels.of(indexes), floatTensor(made, [rows, labels.count])];
  };
  const sums = Array.from(
    { length: labels.count },
    (_, target): Additive => ({ method: 'trees', forest, target, scale: 1, offset: bases[target] ?? 0 }),
  );
  return Object.assign(kernel, { additive: { output: 1, link: linkOf(node), sums } });
};

/**
 * Two classes with weights of the first alone, as gradient boosting has them: the sum is the score of the second class.
 * If no weight is negative, it is a probability.
 */
function binaryClassifier(node: Node, forest: Forest, bases: Float32Array) {
  if (forest.targets.some((target) => target !== 0)) throw node.refuse('weights of both of two classes');
  if (bases.length > 1) throw node.refuse('base values of both of two classes');
  const labels = labelsOf(node, 'classlabels_int64s');
  const isProbability = forest.weights.every((weight) => weight >= 0);
  const transform = node.text('post_transform', 'NONE');
  if (transform !== 'NONE' && transform !== 'LOGISTIC')
    throw node.refuse(`the transform ${transform} of two classes`);
  const kernel: Kernel = ([input]) => {
    const [rows] = matrixOf(given(input));
    const made = new Float32Array(rows * 2);
    const indexes: number[] = [];
    for (const { row, scores } of rowsOf(forest, 1, 'SUM', input)) {
      const score = Math.fround((scores[0] ?? 0) + (bases[0] ?? 0));
      indexes.push(score > (isProbability ? 0.5 : 0) ? 1 : 0);
      made.set(pairOf(score, isProbability, transform === 'LOGISTIC'), row * 2);
    }
    return [labels.of(indexes), floatTensor(made, [rows, 2])];
  };
  const base = bases[0] ?? 0;
  const sumOf = (scale: number, offset: number): Additive => ({
    ...{ method: 'trees', forest, target: 0, scale, offset },
  });
  const sums = [sumOf(-1, isProbability ? 1 - base : -base), sumOf(1, base)];
  const link = !isProbability && transform === 'LOGISTIC' ? 'logistic' : 'identity';
  return Object.assign(kernel, { additive: { output: 1, link, sums } as const });
}

function pairOf(score: number, isProbability: boolean, isLogistic: boolean): readonly [number, number] {
  if (isProbability) return [1 - score, score];
  return isLogistic ? [logistic(-score), logistic(score)] : [-score, score];
}

export const TREES: Readonly<Record<string, Operator>> = {
  TreeEnsembleClassifier: treeClassifier,
  TreeEnsembleRegressor: treeRegressor,
};
