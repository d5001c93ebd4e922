import { describe, expect, it } from 'vitest';
import { model } from '../../../src/define/model.ts';
import { fromFeature } from '../../../src/define/model-input.ts';
import { Evaluator } from '../../../src/inference/evaluator/evaluator.ts';
import { additiveContributions, linked, sumOf } from '../../../src/inference/explain/additive.ts';
import { explain } from '../../../src/inference/explain/explanation.ts';
import type { Tensors } from '../../../src/inference/tensors.ts';
import { seededRandom } from '../../../src/platform/random.ts';
import { customer } from '../../support/catalog/entities.ts';
import { purchases } from '../../support/catalog/features.ts';
import { shapleyByOrders } from '../../support/explain/permutations.ts';
import { type ForestShape, forestGraph } from '../../support/onnx/forest.ts';
import { graphBytes } from '../../support/onnx/graph.ts';

const column = fromFeature(purchases.window(30), { default: 0 });
const rowOf = (values: readonly number[]): Tensors => ({
  input: { datatype: 'FP32', shape: [1, values.length], data: Float32Array.from(values) },
});
const forest = (shape: Partial<ForestShape>, seed: number) =>
  forestGraph(
    { ...{ trees: 20, depth: 5, columns: 5, outputs: 2, isRegression: false, base: true }, ...shape },
    seededRandom(seed),
  );

/** A linear classifier as scikit-learn exports it: the scores, then numbers that add up to 1. */
function linearGraph(columns: number, classes: number, transform: 'LOGISTIC' | 'SOFTMAX', seed: number) {
  const random = seededRandom(seed);
  const first = Array.from({ length: columns }, () => Math.fround(random() - 0.5));
  const others = Array.from({ length: classes - 2 }, () => first.map(() => Math.fround(random() - 0.5)));
  const isOpposite = classes === 2;
  const coefficients = [
    first,
    isOpposite ? first.map((one) => -one) : first.map((one) => one / 2),
    ...others,
  ];
  const intercepts = isOpposite ? [0.25, -0.25] : Array.from({ length: classes }, (_, at) => at / 4);
  return graphBytes({
    inputs: [['input', 'FLOAT', ['batch', columns]]],
    outputs: [
      ['label', 'INT64', ['batch']],
      ['probabilities', 'FLOAT', ['batch', classes]],
    ],
    nodes: [
      {
        ...{ op: 'LinearClassifier', domain: 'ai.onnx.ml', inputs: ['input'], outputs: ['label', 'raw'] },
        attributes: {
          coefficients: coefficients.flat(),
          intercepts,
          classlabels_ints: Array.from({ length: classes }, (_, at) => BigInt(at)),
          post_transform: transform,
        },
      },
      {
        ...{ op: 'Normalizer', domain: 'ai.onnx.ml', inputs: ['raw'], outputs: ['probabilities'] },
        attributes: { norm: 'L1' },
      },
    ],
  });
}

function graphOf(bytes: Uint8Array, columns: number, classes: number) {
  const signature = {
    inputs: [{ name: 'input', datatype: 'FP32', shape: [-1, columns] } as const],
    outputs: [
      { name: 'label', datatype: 'INT64', shape: [-1] } as const,
      { name: 'probabilities', datatype: 'FP32', shape: [-1, classes] } as const,
    ],
  };
  const evaluator = Evaluator.read(bytes, signature);
  const numbers = (values: readonly number[]) =>
    Array.from(evaluator.run(rowOf(values))['probabilities']?.data ?? [], Number);
  return { signature, evaluator, numbers };
}

/** Explains the likeliest class of a row. */
async function explained(
  bytes: Uint8Array,
  { classes, actual, baseline }: { classes: number; actual: readonly number[]; baseline: readonly number[] },
  isSum = true,
) {
  const { signature, evaluator, numbers } = graphOf(bytes, actual.length, classes);
  const labels = Array.from({ length: classes }, (_, at) => at);
  const likely = numbers(actual);
  const label = likely.indexOf(Math.max(...likely));
  const definition = model.classification({
    ...{ name: 'm', description: 'A model.', entity: customer, classes: labels },
    inputs: {
      input: { columns: Object.fromEntries(actual.map((_, at) => [`c${at}`, column])) },
    },
    outputs: { probabilities: 'probabilities' },
  });
  const graph = {
    ...signature,
    run: async (inputs: Tensors) => evaluator.run(inputs),
    ...(isSum ? { additive: evaluator.additive.bind(evaluator) } : {}),
  };
  const probabilities = Object.fromEntries(likely.map((number, at) => [String(at), number]));
  const ends = { actual: rowOf(actual), baseline: rowOf(baseline) };
  const made = await explain(
    { definition, graph, answer: { label, probabilities }, ...ends },
    { charge: async () => undefined, pause: async () => undefined },
    () => true,
  );
  const of = actual.map(
    (_, at) => made.contributions.find((one) => one.column === `c${at}`)?.contribution ?? 0,
  );
  return { ...made, of, label, probability: likely[label] ?? Number.NaN };
}

const near = (given: number, wanted: number) =>
  expect(Math.abs(given - wanted)).toBeLessThanOrEqual(1e-5 * Math.max(1, Math.abs(wanted)));
const rowsOf = (columns: number, seed: number): [number[], number[]] => {
  const random = seededRandom(seed);
  const row = () => Array.from({ length: columns }, () => Math.floor(random() * 5) - 2);
  return [row(), row()];
};

describe('the sums of a classifier', () => {
  it.each<[string, (seed: number) => Uint8Array, number]>([
    ['trees of two classes, by a logistic', (seed) => forest({ transform: 'LOGISTIC' }, seed), 2],
    ['trees of two classes', (seed) => forest({}, seed), 2],
    ['trees of three classes, by a softmax', (seed) => forest({ outputs: 3, transform: 'SOFTMAX' }, seed), 3],
    [
      'trees of three classes, by a logistic',
      (seed) => forest({ outputs: 3, transform: 'LOGISTIC' }, seed),
      3,
    ],
    ['a linear classifier of two classes', (seed) => linearGraph(5, 2, 'LOGISTIC', seed), 2],
    ['a linear classifier of three classes', (seed) => linearGraph(5, 3, 'SOFTMAX', seed), 3],
  ])('are those of the graph for %s, with the contributions of the definition', (_, graph, classes) => {
    for (let seed = 1; seed <= 10; seed += 1) {
      const { evaluator, numbers } = graphOf(graph(seed), 5, classes);
      const [actual, baseline] = rowsOf(5, seed);
      const rows = evaluator.additive('probabilities', { actual: rowOf(actual), baseline: rowOf(baseline) });
      if (rows === undefined) throw new Error('The sums are not known.');
      expect(rows.sums).toHaveLength(classes);
      const sums = (row: readonly number[]) => rows.sums.map((form) => sumOf(form, Float32Array.from(row)));
      for (const [at, number] of linked(rows.link, sums(actual)).entries())
        near(number, numbers(actual)[at] ?? NaN);
      for (const [at, form] of rows.sums.entries()) {
        const wanted = shapleyByOrders(5, (set) =>
          sumOf(
            form,
            Float32Array.from(actual, (one, column) => (set.has(column) ? one : (baseline[column] ?? 0))),
          ),
        );
        const shares = additiveContributions(form, rows);
        for (const [column, share] of wanted.entries()) near(shares[column] ?? NaN, share);
        near(
          shares.reduce((sum, share) => sum + share, sums(baseline)[at] ?? NaN),
          sums(actual)[at] ?? NaN,
        );
      }
    }
  });

  it('are not known behind a division that changes them', () => {
    const { evaluator } = graphOf(linearGraph(5, 3, 'LOGISTIC', 1), 5, 3);
    const [actual, baseline] = rowsOf(5, 1);
    expect(
      evaluator.additive('probabilities', { actual: rowOf(actual), baseline: rowOf(baseline) }),
    ).toBeUndefined();
  });
});

describe('a classification', () => {
  it('is explained in its probability while an enumeration takes its columns', async () => {
    const [actual, baseline] = rowsOf(8, 2);
    const made = await explained(forest({ columns: 8, transform: 'LOGISTIC' }, 2), {
      classes: 2,
      actual,
      baseline,
    });
    expect([made.method, made.link]).toEqual(['enumeration', 'identity']);
    near(made.score, made.probability);
  });

  it.each<[string, Uint8Array, number, string, string]>([
    ['trees of two classes', forest({ columns: 40, transform: 'LOGISTIC' }, 3), 2, 'trees', 'logistic'],
    [
      'trees of four classes',
      forest({ columns: 40, outputs: 4, transform: 'SOFTMAX' }, 4),
      4,
      'trees',
      'softmax',
    ],
    ['a linear classifier', linearGraph(40, 2, 'LOGISTIC', 5), 2, 'linear', 'logistic'],
    ['a linear classifier of three classes', linearGraph(40, 3, 'SOFTMAX', 6), 3, 'linear', 'softmax'],
  ])(
    'of more columns is explained in the sum below the probability: %s',
    async (_, bytes, classes, method, link) => {
      const [actual, baseline] = rowsOf(40, 7);
      const made = await explained(bytes, { classes, actual, baseline });
      expect([made.method, made.link, made.class]).toEqual([method, link, made.label]);
      near(
        made.of.reduce((sum, share) => sum + share, made.baseline),
        made.score,
      );
      if (link === 'logistic') near(1 / (1 + Math.exp(-made.score)), made.probability);
      await expect(explained(bytes, { classes, actual, baseline }, false)).rejects.toMatchObject({
        code: 'not_explainable',
      });
    },
  );

  it('whose numbers are sums themselves has the contributions of the enumeration, from one walk', async () => {
    const [actual, baseline] = rowsOf(10, 8);
    const bytes = forest({ columns: 10, outputs: 3 }, 8);
    const made = await explained(bytes, { classes: 3, actual, baseline });
    expect([made.method, made.link]).toEqual(['trees', 'identity']);
    const naive = await explained(bytes, { classes: 3, actual, baseline }, false);
    expect(naive.method).toBe('enumeration');
    for (const [at, share] of naive.of.entries()) near(made.of[at] ?? NaN, share);
  });
});
