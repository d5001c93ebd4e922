import { describe, expect, it } from 'vitest';
import { nodeRuntime } from '../../../../scripts/models/node-runtime.ts';
import { Evaluator } from '../../../../src/inference/evaluator/evaluator.ts';
import { differenceOf, PARITY_TOLERANCE } from '../../../../src/inference/evaluator/parity.ts';
import { additiveContributions } from '../../../../src/inference/explain/additive.ts';
import type { Tensors } from '../../../../src/inference/tensors.ts';
import type { TrainingColumns } from '../../../../src/training/columns.ts';
import { checkpointOf, resumeTraining } from '../../../../src/training/run.ts';
import { bestLength, startTrees, stepTrees, type TreesState } from '../../../../src/training/trees/boost.ts';
import { type TreesOutput, writeTrees } from '../../../../src/training/trees/write.ts';
import { shapleyByOrders } from '../../../support/explain/permutations.ts';
import { madeUpSet, rowsOf } from '../../../support/training/sets.ts';

const SMALL = { kind: 'trees', trees: 25, leaves: 12 } as const;
const SIGNATURES = {
  value: [{ name: 'value', datatype: 'FP32', shape: [-1, 1] }],
  score: [{ name: 'value', datatype: 'FP32', shape: [-1, 1] }],
  classes: [
    { name: 'label', datatype: 'INT64', shape: [-1] },
    { name: 'probabilities', datatype: 'FP32', shape: [-1, 2] },
  ],
} as const;

function trained(recipe: Record<string, unknown>, set: TrainingColumns, seed = 1): TreesState {
  let state = startTrees(recipe, set, seed);
  while (!state.isDone) state = stepTrees(state);
  return state;
}

function evaluatorOf(bytes: Uint8Array, output: TreesOutput, columns: number): Evaluator {
  const inputs = [{ name: 'features', datatype: 'FP32', shape: [-1, columns] } as const];
  return Evaluator.read(bytes, { inputs, outputs: SIGNATURES[output] });
}

async function computed(bytes: Uint8Array, inputs: Tensors): Promise<Tensors> {
  const session = await nodeRuntime.load(bytes);
  try {
    return await session.run(inputs);
  } finally {
    session.release();
  }
}

const sigmoid = (score: number) => 1 / (1 + Math.exp(-score));

describe('the graph of trees', () => {
  it.each([
    ['regression', 'value', (score: number) => [score]],
    ['binary', 'score', (score: number) => [sigmoid(score)]],
    ['binary', 'classes', (score: number) => [1 - sigmoid(score), sigmoid(score)]],
  ] as const)(
    'of a %s answers %s as the trainer does, by the evaluator and by the runtime',
    async (task, output, answer) => {
      const set = madeUpSet({ rows: 1_200, columns: 6, task, missing: 0.15 });
      const state = trained({ ...SMALL, task, patience: 0 }, set);
      const bytes = writeTrees(state, output, { origin: 'test' });
      const features = rowsOf(set, 0, 1_200);
      const evaluated = evaluatorOf(bytes, output, 6).run({ features });
      expect(differenceOf(evaluated, await computed(bytes, { features }))).toBeUndefined();
      const numbers = evaluated[output === 'classes' ? 'probabilities' : 'value']?.data ?? [];
      const wanted = Array.from(state.scores, answer).flat();
      for (const [at, value] of wanted.entries())
        expect(Math.abs(Number(numbers[at]) - value)).toBeLessThan(
          PARITY_TOLERANCE * Math.max(1, Math.abs(value)),
        );
    },
  );

  it('of classes has probabilities and not sums of them where no leaf is negative', async () => {
    const set = madeUpSet({ rows: 400, columns: 6, task: 'binary' });
    const state = trained({ ...SMALL, task: 'binary', patience: 0, trees: 1 }, set);
    const [tree] = state.trees;
    if (tree === undefined) throw new Error('A tree was grown.');
    const raised = { ...state, trees: [{ ...tree, values: tree.values.map((value) => Math.abs(value)) }] };
    const bytes = writeTrees(raised, 'classes', {});
    const features = rowsOf(set, 0, 20);
    const evaluated = evaluatorOf(bytes, 'classes', 6).run({ features });
    expect(differenceOf(evaluated, await computed(bytes, { features }))).toBeUndefined();
    for (const value of Array.from(evaluated['probabilities']?.data ?? [], Number)) {
      expect(value).toBeGreaterThan(0);
      expect(value).toBeLessThan(1);
    }
  });

  it('is explained by the exact Shapley values of the trees', () => {
    const columns = 5;
    const set = madeUpSet({ rows: 800, columns, task: 'regression', missing: 0.1 });
    const evaluator = evaluatorOf(
      writeTrees(trained({ ...SMALL, task: 'regression' }, set), 'value', {}),
      'value',
      columns,
    );
    const ends = { actual: { features: rowsOf(set, 3, 4) }, baseline: { features: rowsOf(set, 11, 12) } };
    const rows = evaluator.additive('value', ends);
    const [form] = rows?.sums ?? [];
    if (rows === undefined || form === undefined) throw new Error('The score is a sum of trees.');
    const shares = additiveContributions(form, rows);
    const wanted = shapleyByOrders(columns, (present) => {
      const mixed = ends.actual.features.data.map((value, at) =>
        present.has(at) ? value : (ends.baseline.features.data[at] ?? 0),
      );
      return Number(
        evaluator.run({ features: { datatype: 'FP32', shape: [1, columns], data: mixed } })['value']?.data[0],
      );
    });
    for (const [at, share] of wanted.entries()) expect(shares[at]).toBeCloseTo(share, 5);
  });
});

describe('a training of trees', () => {
  const set = madeUpSet({ rows: 900, columns: 6, task: 'binary', missing: 0.1 });
  const recipe = { ...SMALL, task: 'binary', rowShare: 0.7, columnShare: 0.5, patience: 0 };

  it('gives the same bytes for the same set, recipe and seed, and others for another seed', () => {
    const bytes = writeTrees(trained(recipe, set), 'classes', {});
    expect(writeTrees(trained(recipe, set), 'classes', {})).toEqual(bytes);
    expect(writeTrees(trained(recipe, set, 2), 'classes', {})).not.toEqual(bytes);
  });

  const resumed = (bytes: Uint8Array) => {
    const state = resumeTraining(bytes, set);
    if (state.kind !== 'trees') throw new Error('The checkpoint is of trees.');
    return state;
  };

  it('that is resumed from its checkpoint after any step gives the same bytes', () => {
    const bytes = writeTrees(trained(recipe, set), 'classes', {});
    let state = startTrees(recipe, set, 1);
    while (!state.isDone) state = stepTrees(resumed(checkpointOf(state)));
    expect(writeTrees(state, 'classes', {})).toEqual(bytes);
    expect(checkpointOf(resumed(checkpointOf(state)))).toEqual(checkpointOf(state));
  });

  it('does not change a state by the step after it', () => {
    const first = stepTrees(startTrees(recipe, set, 1));
    const before = checkpointOf(first);
    stepTrees(first);
    expect(checkpointOf(first)).toEqual(before);
  });

  it('refuses the checkpoint of another set, and bytes that are cut or of another kind', () => {
    const bytes = checkpointOf(stepTrees(startTrees(recipe, set, 1)));
    const other = { ...set, labels: set.labels.with(0, 1 - (set.labels[0] ?? 0)) };
    for (const [given, of] of [
      [bytes, other],
      [bytes.subarray(0, bytes.length - 9), set],
      [bytes.subarray(0, 30), set],
      [new Uint8Array(40), set],
    ] as const)
      expect(() => resumeTraining(given, of)).toThrow(
        expect.objectContaining({ code: 'invalid_checkpoint' }),
      );
  });

  it('ends when the later rows are no longer predicted better, and keeps the best trees', () => {
    const noisy = madeUpSet({ rows: 400, columns: 6, task: 'regression' });
    const state = trained(
      { ...SMALL, task: 'regression', trees: 500, learningRate: 0.5, leafRows: 2, patience: 5 },
      noisy,
    );
    expect(state.trees.length).toBeLessThan(500);
    expect(state.trees.length).toBe(bestLength(state.losses) + 5);
    const best = Math.min(...state.losses.map(({ validation }) => validation ?? Number.NaN));
    expect(state.losses[bestLength(state.losses) - 1]?.validation).toBe(best);
    expect(best).toBeLessThan((state.losses[0]?.validation ?? 0) / 2);
  });

  it('learns which way rows without a value go', () => {
    const values = Float32Array.from({ length: 400 }, (_, row) => (row % 4 === 0 ? Number.NaN : row % 4));
    const labels = Float32Array.from(values, (value) => (Number.isNaN(value) || value === 3 ? 1 : 0));
    const only = { names: ['c'], columns: [values], labels, trainingRows: 400 };
    const state = trained({ kind: 'trees', task: 'regression', trees: 60, leaves: 2 }, only);
    expect(state.losses.at(-1)?.training).toBeLessThan(1e-4);
    expect(state.trees[0]?.missingLeft[0]).toBe(0);
    const flipped = { ...only, labels: Float32Array.from(values, (value) => (value > 1 ? 0 : 1)) };
    expect(
      trained({ kind: 'trees', task: 'regression', trees: 1, leaves: 2 }, flipped).trees[0]?.missingLeft[0],
    ).toBe(1);
  });

  it('counts a row of weight 2 as two rows', () => {
    const half = madeUpSet({ rows: 300, columns: 3, task: 'binary', learned: 1 });
    const weights = half.labels.map((_, row) => (row % 3 === 0 ? 2 : 1));
    const twice = (of: Float32Array) =>
      Float32Array.from(Array.from(of).flatMap((value, row) => (row % 3 === 0 ? [value, value] : [value])));
    const doubled = {
      ...half,
      columns: half.columns.map(twice),
      labels: twice(half.labels),
      trainingRows: 400,
    };
    const few = {
      kind: 'trees',
      task: 'binary',
      trees: 5,
      leaves: 8,
      leafRows: 1,
      leafHessian: 3,
      bins: 255,
    };
    const coarse = (of: TrainingColumns) => ({
      ...of,
      columns: of.columns.map((c) => c.map((v) => Math.round(v * 20))),
    });
    const [one, other] = [trained(few, coarse({ ...half, weights })), trained(few, coarse(doubled))];
    expect(one.trees.length).toBe(5);
    for (const [at, tree] of one.trees.entries()) {
      expect(tree.columns).toEqual(other.trees[at]?.columns);
      expect(tree.thresholds).toEqual(other.trees[at]?.thresholds);
      for (const [node, value] of tree.values.entries())
        expect(value).toBeCloseTo(other.trees[at]?.values[node] ?? 0, 5);
    }
  });

  it('is not written before it is done', () => {
    expect(() => writeTrees(startTrees(recipe, set, 1), 'classes', {})).toThrow(
      expect.objectContaining({ code: 'not_finished' }),
    );
  });
});
