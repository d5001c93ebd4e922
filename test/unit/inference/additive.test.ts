import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { model } from '../../../src/define/model.ts';
import { fromFeature } from '../../../src/define/model-input.ts';
import { Evaluator } from '../../../src/inference/evaluator/evaluator.ts';
import { explain } from '../../../src/inference/explain/explanation.ts';
import type { Tensors } from '../../../src/inference/tensors.ts';
import { seededRandom } from '../../../src/platform/random.ts';
import { customer } from '../../support/catalog/entities.ts';
import { purchases } from '../../support/catalog/features.ts';
import { shapleyByOrders } from '../../support/explain/permutations.ts';
import { forestGraph } from '../../support/onnx/forest.ts';
import { graphBytes } from '../../support/onnx/graph.ts';

const column = fromFeature(purchases.window(30), { default: 0 });
const definitionOf = (width: number) =>
  model.regression({
    ...{ name: 'm', description: 'A model.', entity: customer },
    inputs: {
      input: { columns: Object.fromEntries(Array.from({ length: width }, (_, at) => [`c${at}`, column])) },
    },
    outputs: { value: 'variable' },
  });
const rowOf = (values: readonly number[]): Tensors => ({
  input: { datatype: 'FP32', shape: [1, values.length], data: Float32Array.from(values) },
});
const signatureOf = (width: number) => ({
  inputs: [{ name: 'input', datatype: 'FP32', shape: [-1, width] } as const],
  outputs: [{ name: 'variable', datatype: 'FP32', shape: [-1, 1] } as const],
});

/** Explains a row by a graph that the evaluator reads. */
async function explained(
  bytes: Uint8Array,
  actual: readonly number[],
  baseline: readonly number[],
  isSum = true,
) {
  const signature = signatureOf(actual.length);
  const evaluator = Evaluator.read(bytes, signature);
  const numberOf = (values: readonly number[]) => Number(evaluator.run(rowOf(values))['variable']?.data[0]);
  const graph = {
    ...signature,
    run: async (inputs: Tensors) => evaluator.run(inputs),
    ...(isSum ? { additive: evaluator.additive.bind(evaluator) } : {}),
  };
  const ends = { actual: rowOf(actual), baseline: rowOf(baseline) };
  const asked = {
    definition: definitionOf(actual.length),
    graph,
    answer: { value: numberOf(actual) },
    ...ends,
  };
  const charged: number[] = [];
  const charge = async (rows: number) => {
    charged.push(rows);
  };
  const made = await explain(asked, { charge, pause: async () => undefined }, () => true);
  const of = actual.map(
    (_, at) => made.contributions.find((one) => one.column === `c${at}`)?.contribution ?? 0,
  );
  return { ...made, of, numberOf, charged };
}

const near = (given: number, wanted: number) =>
  expect(Math.abs(given - wanted)).toBeLessThanOrEqual(1e-5 * Math.max(1, Math.abs(wanted)));
const value = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.constant(Number.NaN));
const rows = (width: number) =>
  fc.tuple(
    fc.array(value, { minLength: width, maxLength: width }),
    fc.array(value, { minLength: width, maxLength: width }),
  );

describe('trees', () => {
  it('have the contributions of the definition, from one walk', async () => {
    const width = 5;
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 1_000 }), rows(width), async (seed, [actual, baseline]) => {
        const shape = { trees: 12, depth: 6, columns: width, outputs: 1, isRegression: true, base: true };
        const made = await explained(forestGraph(shape, seededRandom(seed)), actual, baseline);
        expect(made.method).toBe('trees');
        const wanted = shapleyByOrders(width, (set) =>
          made.numberOf(actual.map((one, at) => (set.has(at) ? one : (baseline[at] ?? 0)))),
        );
        for (const [at, share] of wanted.entries()) near(made.of[at] ?? Number.NaN, share);
        near(
          made.of.reduce((sum, share) => sum + share, made.baseline),
          made.score,
        );
      }),
      { numRuns: 40 },
    );
  });

  it('of many columns are those that enumeration gives, and more columns than it takes add up too', async () => {
    const random = seededRandom(3);
    for (const width of [12, 40]) {
      const shape = { trees: 60, depth: 7, columns: width, outputs: 1, isRegression: true };
      const bytes = forestGraph(shape, seededRandom(width));
      const [actual, baseline] = [0, 1].map(() =>
        Array.from({ length: width }, () => Math.floor(random() * 7) - 3),
      );
      if (actual === undefined || baseline === undefined) throw new Error('There are two rows.');
      const made = await explained(bytes, actual, baseline);
      expect(made.method).toBe('trees');
      near(
        made.of.reduce((sum, share) => sum + share, made.baseline),
        made.score,
      );
      const enumerating = explained(bytes, actual, baseline, false);
      if (width > 12) {
        await expect(enumerating).rejects.toMatchObject({ code: 'not_explainable' });
        continue;
      }
      const { of, method } = await enumerating;
      expect(method).toBe('enumeration');
      for (const [at, share] of of.entries()) near(made.of[at] ?? Number.NaN, share);
    }
  });

  it('that are averaged are scaled, and their rows are charged', async () => {
    const averaged = graphBytes({
      inputs: [['input', 'FLOAT', ['batch', 2]]],
      outputs: [['variable', 'FLOAT', ['batch', 1]]],
      nodes: [
        {
          op: 'TreeEnsembleRegressor',
          domain: 'ai.onnx.ml',
          inputs: ['input'],
          outputs: ['raw'],
          attributes: {
            aggregate_function: 'AVERAGE',
            nodes_treeids: [0n, 0n, 0n, 1n],
            nodes_nodeids: [0n, 1n, 2n, 0n],
            nodes_modes: ['BRANCH_LEQ', 'LEAF', 'LEAF', 'LEAF'],
            nodes_truenodeids: [1n, 0n, 0n, 0n],
            nodes_falsenodeids: [2n, 0n, 0n, 0n],
            nodes_featureids: [1n, 0n, 0n, 0n],
            nodes_values: [0, 0, 0, 0],
            target_treeids: [0n, 0n, 1n],
            target_nodeids: [1n, 2n, 0n],
            target_ids: [0n, 0n, 0n],
            target_weights: [1, 9, 5],
            n_targets: 1n,
          },
        },
        { op: 'Identity', inputs: ['raw'], outputs: ['variable'] },
      ],
    });
    const made = await explained(averaged, [1, 2], [0, 0]);
    expect([made.method, made.baseline, made.score, made.of]).toEqual(['trees', 3, 7, [0, 4]]);
    expect(made.charged).toEqual([3]);
  });
});

describe('a linear score', () => {
  const linear = (more: Record<string, string> = {}, operators: readonly string[] = []) =>
    graphBytes({
      inputs: [['input', 'FLOAT', ['batch', 2]]],
      outputs: [['variable', 'FLOAT', ['batch', 1]]],
      nodes: [
        ...operators.map((op, at) => ({
          op,
          inputs: [at === 0 ? 'input' : `v${at}`],
          outputs: [`v${at + 1}`],
        })),
        {
          ...{ op: 'Scaler', domain: 'ai.onnx.ml' as const, outputs: ['scaled'] },
          inputs: [operators.length === 0 ? 'input' : `v${operators.length}`],
          attributes: { offset: [1, 2], scale: [2, 0.5] },
        },
        {
          ...{
            op: 'LinearRegressor',
            domain: 'ai.onnx.ml' as const,
            inputs: ['scaled'],
            outputs: ['variable'],
          },
          attributes: { coefficients: [3, -4], intercepts: [10], targets: 1n, ...more },
        },
      ],
    });

  it('has coefficient × difference, behind a scaler', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.tuple(fc.integer(), fc.integer()),
        fc.tuple(fc.integer(), fc.integer()),
        async (a, b) => {
          const [actual, baseline] = [a, b].map((row) => row.map((one) => one % 1_000));
          if (actual === undefined || baseline === undefined) throw new Error('There are two rows.');
          const made = await explained(linear(), actual, baseline);
          expect(made.method).toBe('linear');
          near(made.of[0] ?? Number.NaN, 6 * ((actual[0] ?? 0) - (baseline[0] ?? 0)));
          near(made.of[1] ?? Number.NaN, -2 * ((actual[1] ?? 0) - (baseline[1] ?? 0)));
        },
      ),
    );
  });

  it('is enumerated if something comes before that is no function of single columns, or after', async () => {
    const enumerated = async (bytes: Uint8Array) => (await explained(bytes, [0.5, 0.25], [0, 0])).method;
    expect(await enumerated(linear({ post_transform: 'LOGISTIC' }))).toBe('enumeration');
    expect(await enumerated(linear({}, ['Softmax']))).toBe('enumeration');
    expect(await enumerated(linear({}, ['Identity']))).toBe('linear');
  });

  it('is enumerated if it is cast to whole numbers, which are no sum', async () => {
    const bytes = graphBytes({
      inputs: [['input', 'FLOAT', ['batch', 2]]],
      outputs: [['variable', 'FLOAT', ['batch', 1]]],
      nodes: [
        {
          ...{ op: 'LinearRegressor', domain: 'ai.onnx.ml', inputs: ['input'], outputs: ['sum'] },
          attributes: { coefficients: [0.5, 0.5], intercepts: [0], targets: 1n },
        },
        { op: 'Cast', inputs: ['sum'], outputs: ['whole'], attributes: { to: 7n } },
        { op: 'Cast', inputs: ['whole'], outputs: ['variable'], attributes: { to: 1n } },
      ],
    });
    // Both ends are whole, and each column alone adds less than 1.
    const made = await explained(bytes, [1, 1], [0, 0]);
    expect([made.method, made.baseline, made.score, made.of]).toEqual(['enumeration', 0, 1, [0.5, 0.5]]);
  });
});
