import { describe, expect, it } from 'vitest';
import { nodeRuntime } from '../../../../scripts/models/node-runtime.ts';
import { Evaluator } from '../../../../src/inference/evaluator/evaluator.ts';
import { differenceOf } from '../../../../src/inference/evaluator/parity.ts';
import { additiveContributions } from '../../../../src/inference/explain/additive.ts';
import type { Tensor } from '../../../../src/inference/tensors.ts';
import { seededRandom } from '../../../../src/platform/random.ts';
import type { TrainingColumns } from '../../../../src/training/columns.ts';
import { stepGraph } from '../../../../src/training/network/graphs.ts';
import { rowTensors, startNetwork } from '../../../../src/training/network/train.ts';
import {
  checkpointOf,
  finishTraining,
  resumeTraining,
  runTraining,
  startTraining,
  stepTraining,
  type TrainingState,
} from '../../../../src/training/run.ts';
import { lossAndGradient, trainedReference } from '../../../support/training/reference-network.ts';
import { madeUpSet, rowsOf } from '../../../support/training/sets.ts';

const NAMES = { input: 'features', output: 'value' };
const SMALL = { kind: 'network', hidden: [6], epochs: 3, batch: 64 } as const;

function evaluatorOf(bytes: Uint8Array, columns: number): Evaluator {
  return Evaluator.read(bytes, {
    inputs: [{ name: 'features', datatype: 'FP32', shape: [-1, columns] }],
    outputs: [{ name: 'value', datatype: 'FP32', shape: [-1, 1] }],
  });
}

const vector = (data: Float32Array): Tensor => ({ datatype: 'FP32', shape: [data.length], data });
const weighted = (set: TrainingColumns): TrainingColumns => ({
  ...set,
  weights: set.labels.map((_, row) => 1 + (row % 3)),
});

describe('the graph of a step', () => {
  it.each([
    ['binary', []],
    ['regression', []],
    ['binary', [5]],
    ['regression', [4, 3]],
  ] as const)(
    'of a %s with the hidden layers %j has the gradient of finite differences',
    async (task, hidden) => {
      const set = weighted(madeUpSet({ rows: 60, columns: 5, task, missing: 0.1 }));
      const state = startNetwork({ kind: 'network', task, hidden, decay: 0 }, set, 1);
      const random = seededRandom(4);
      const parameters = state.parameters.map(() => 2 * random() - 1);
      const rows = Uint32Array.from({ length: 40 }, (_, row) => row);
      const session = await nodeRuntime.load(stepGraph({ ...state, task, decay: 0 }));
      const zeros = vector(new Float32Array(parameters.length));
      const one = vector(Float32Array.of(1));
      const made = await session.run({
        ...rowTensors(set, rows),
        ...{ parameters: vector(parameters), first: zeros, second: zeros },
        ...{ rate: one, first_share: one, second_share: one },
      });
      session.release();
      const reference = lossAndGradient(state, parameters, rows);
      expect(Number(made['loss']?.data[0])).toBeCloseTo(reference.loss, 5);
      const lossAt = (position: number, step: number) => {
        const moved = Float64Array.from(parameters);
        moved[position] = (moved[position] ?? 0) + step;
        return lossAndGradient(state, moved, rows).loss;
      };
      for (const position of parameters.keys()) {
        const slope = (lossAt(position, 1e-6) - lossAt(position, -1e-6)) / 2e-6;
        expect(Number(made['gradient']?.data[position])).toBeCloseTo(slope, 5);
        expect(reference.gradient[position]).toBeCloseTo(slope, 6);
      }
    },
  );
});

describe('a network that the runtime trains', () => {
  it.each([
    ['binary', []],
    ['regression', [6]],
    ['binary', [6, 4]],
  ] as const)('of a %s with the hidden layers %j is the one of double precision', async (task, hidden) => {
    const set = weighted(madeUpSet({ rows: 500, columns: 5, task, missing: 0.1, learned: 1 }));
    const recipe = { ...SMALL, task, hidden, decay: 1e-3 };
    const start = startNetwork(recipe, set, 1);
    const state = await runTraining(recipe, set, 1, nodeRuntime);
    if (state.kind !== 'network') throw new Error('The recipe is a network.');
    const reference = trainedReference(start, start.parameters);
    for (const [at, value] of reference.entries()) expect(state.parameters[at]).toBeCloseTo(value, 3);
    const rows = Uint32Array.from({ length: 500 }, (_, row) => row);
    expect(lossAndGradient(state, state.parameters, rows).loss).toBeCloseTo(
      lossAndGradient(state, reference, rows).loss,
      5,
    );
  });

  it('finds the coefficients of least squares', async () => {
    const random = seededRandom(2);
    const columns = [0, 1].map((at) =>
      Float32Array.from({ length: 2_000 }, () => 50 * at + random() * 10 ** at),
    );
    const labels = Float32Array.from(
      { length: 2_000 },
      (_, row) => 7 + 3 * (columns[0]?.[row] ?? 0) - 0.5 * (columns[1]?.[row] ?? 0),
    );
    const set = { names: ['a', 'b'], columns, labels, trainingRows: 2_000 };
    const recipe = {
      kind: 'network',
      task: 'regression',
      hidden: [],
      epochs: 40,
      learningRate: 0.05,
      decay: 0,
    };
    const state = await runTraining(recipe, set, 1, nodeRuntime);
    const evaluator = evaluatorOf(finishTraining(state, {}, NAMES), 2);
    const at = (a: number, b: number) =>
      Number(
        evaluator.run({ features: { datatype: 'FP32', shape: [1, 2], data: Float32Array.of(a, b) } })['value']
          ?.data[0],
      );
    expect(at(0.5, 55)).toBeCloseTo(7 + 1.5 - 27.5, 3);
    expect(at(1.5, 55) - at(0.5, 55)).toBeCloseTo(3, 2);
    expect(at(0.5, 65) - at(0.5, 55)).toBeCloseTo(-5, 2);
  });

  it.each([
    ['binary', []],
    ['binary', [8, 4]],
    ['regression', [8]],
    ['regression', []],
  ] as const)(
    'of a %s with the hidden layers %j answers raw rows alike in both tiers',
    async (task, hidden) => {
      const set = madeUpSet({ rows: 600, columns: 5, task, missing: 0.1 });
      const state = await runTraining({ ...SMALL, task, hidden }, set, 1, nodeRuntime);
      const bytes = finishTraining(state, { origin: 'test' }, NAMES);
      const features = rowsOf(set, 450, 600);
      const evaluator = evaluatorOf(bytes, 5);
      const evaluated = evaluator.run({ features });
      const session = await nodeRuntime.load(bytes);
      expect(differenceOf(evaluated, await session.run({ features }))).toBeUndefined();
      session.release();
      const loss =
        features.data.length === 0
          ? 0
          : lossOf(task, evaluated['value']?.data ?? [], set.labels.subarray(450));
      expect(loss).toBeCloseTo(
        Math.min(...state.losses.map(({ validation }) => validation ?? Number.NaN)),
        4,
      );
      const ends = { actual: { features: rowsOf(set, 1, 2) }, baseline: { features: rowsOf(set, 2, 3) } };
      const rows = evaluator.additive('value', ends);
      const [form] = rows?.sums ?? [];
      expect(form?.method).toBe(task === 'regression' && hidden.length === 0 ? 'linear' : undefined);
      if (rows === undefined || form === undefined) return;
      const [actual, baseline] = [ends.actual, ends.baseline].map((row) =>
        Number(evaluator.run(row)['value']?.data[0]),
      );
      const shares = additiveContributions(form, rows).reduce((total, share) => total + share, 0);
      expect(shares).toBeCloseTo((actual ?? 0) - (baseline ?? 0), 5);
    },
  );
});

function lossOf(task: string, given: ArrayLike<unknown>, labels: Float32Array): number {
  const losses = Array.from(labels, (label, at) => {
    const value = Number(given[at]);
    if (task === 'regression') return (value - label) ** 2;
    return -Math.log(label === 1 ? value : 1 - value);
  });
  return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
}

/** What a step answers whose numbers have grown too large. */
const NOT_FINITE = Object.fromEntries(
  ['parameters_next', 'first_next', 'second_next', 'loss', 'loss_sum'].map((name) => [
    name,
    vector(new Float32Array(5).fill(Number.NaN)),
  ]),
);

describe('a training of a network', () => {
  const set = madeUpSet({ rows: 400, columns: 4, task: 'binary', missing: 0.1 });
  const recipe = { ...SMALL, task: 'binary' } as const;
  const bytesOf = async (seed: number) =>
    finishTraining(await runTraining(recipe, set, seed, nodeRuntime), {}, NAMES);

  it('gives the same bytes for the same set, recipe and seed, and others for another seed', async () => {
    const bytes = await bytesOf(1);
    expect(await bytesOf(1)).toEqual(bytes);
    expect(await bytesOf(2)).not.toEqual(bytes);
  });

  it('that is resumed from its checkpoint after each step, also within an epoch, gives the same bytes', async () => {
    // So many units that a step ends before the epoch does.
    const wide = { ...recipe, hidden: [256, 256, 256], batch: 64, epochs: 2 };
    const few = madeUpSet({ rows: 1_000, columns: 4, task: 'binary', learned: 0.9 });
    let state: TrainingState = startTraining(wide, few, 1);
    let steps = 0;
    while (!state.isDone) {
      state = await stepTraining(resumeTraining(checkpointOf(state), few), nodeRuntime);
      steps += 1;
    }
    expect(steps).toBeGreaterThan(wide.epochs);
    const whole = await runTraining(wide, few, 1, nodeRuntime);
    expect(finishTraining(state, {}, NAMES)).toEqual(finishTraining(whole, {}, NAMES));
  });

  it('ends when the later rows are no longer predicted better, and keeps the best epoch', async () => {
    const noise = { ...set, labels: set.labels.map((_, row) => (row * 7919) % 2) };
    const fast = { ...recipe, hidden: [64], epochs: 400, learningRate: 0.05, patience: 3 };
    const state = await runTraining(fast, noise, 1, nodeRuntime);
    expect(state.losses.length).toBeLessThan(400);
    const validations = state.losses.map(({ validation }) => validation ?? Number.NaN);
    expect(validations.indexOf(Math.min(...validations))).toBe(validations.length - 1 - 3);
  });

  it('is refused with a code', async () => {
    const code = (of: string) => expect.objectContaining({ code: of });
    expect(() => startTraining({ ...recipe, hidden: [0] }, set, 1)).toThrow(code('invalid_recipe'));
    expect(() => startTraining({ kind: 'forest' }, set, 1)).toThrow(code('invalid_recipe'));
    expect(() => startTraining(recipe, { ...set, trainingRows: 3 }, 1)).toThrow(code('too_few_rows'));
    expect(() => finishTraining(startTraining(recipe, set, 1), {}, NAMES)).toThrow(code('not_finished'));
    const bytes = checkpointOf(startTraining(recipe, set, 1));
    expect(() => resumeTraining(bytes, { ...set, trainingRows: 299 })).toThrow(code('invalid_checkpoint'));
    const lost = { load: async () => ({ run: () => NOT_FINITE, release: () => undefined }) };
    await expect(runTraining({ ...recipe, hidden: [] }, set, 1, lost)).rejects.toThrow(code('diverged'));
  });
});
