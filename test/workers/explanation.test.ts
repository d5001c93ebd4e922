import { expect, it } from 'vitest';
import { model } from '../../src/define/model.ts';
import { fromFeature } from '../../src/define/model-input.ts';
import { Evaluator } from '../../src/inference/evaluator/evaluator.ts';
import { explain } from '../../src/inference/explain/explanation.ts';
import { OnnxRuntime } from '../../src/inference/onnx/runtime.ts';
import type { Tensors } from '../../src/inference/tensors.ts';
import { MODEL_MEMORY_BYTES } from '../../src/platform/limits.ts';
import { seededRandom } from '../../src/platform/random.ts';
import { customer } from '../support/catalog/entities.ts';
import { purchases } from '../support/catalog/features.ts';
import { shapleyByOrders } from '../support/explain/permutations.ts';
import { forestGraph } from '../support/onnx/forest.ts';
import { graphBytes } from '../support/onnx/graph.ts';

const WIDTH = 6;
const TOLERANCE = 1e-5;
const { load } = new OnnxRuntime(MODEL_MEMORY_BYTES);
const ports = { charge: async () => undefined, pause: async () => undefined };

const column = fromFeature(purchases.window(30), { default: 0 });
const definition = model.regression({
  ...{ name: 'm', description: 'A model.', entity: customer },
  inputs: {
    input: { columns: Object.fromEntries(Array.from({ length: WIDTH }, (_, at) => [`c${at}`, column])) },
  },
  outputs: { value: 'variable' },
});
const rowOf = (values: readonly number[]): Tensors => ({
  input: { datatype: 'FP32', shape: [1, WIDTH], data: Float32Array.from(values) },
});

const COEFFICIENTS = [2, -1, 0.5, 3, 0, -4];
const linear = graphBytes({
  inputs: [['input', 'FLOAT', ['batch', WIDTH]]],
  outputs: [['variable', 'FLOAT', ['batch', 1]]],
  nodes: [
    {
      ...{ op: 'LinearRegressor', domain: 'ai.onnx.ml', inputs: ['input'], outputs: ['variable'] },
      attributes: { coefficients: COEFFICIENTS, intercepts: [7], targets: 1n },
    },
  ],
});
const network = graphBytes({
  inputs: [['input', 'FLOAT', ['batch', WIDTH]]],
  outputs: [['variable', 'FLOAT', ['batch', 1]]],
  constants: {
    w1: { dims: [WIDTH, 4], floats: Array.from({ length: WIDTH * 4 }, (_, at) => Math.sin(at + 1)) },
    w2: { dims: [4, 1], floats: [1, -2, 0.5, 1.5] },
  },
  nodes: [
    { op: 'MatMul', inputs: ['input', 'w1'], outputs: ['h'] },
    { op: 'Tanh', inputs: ['h'], outputs: ['a'] },
    { op: 'MatMul', inputs: ['a', 'w2'], outputs: ['variable'] },
  ],
});
const trees = forestGraph(
  { trees: 40, depth: 5, columns: WIDTH, outputs: 1, isRegression: true, base: true },
  seededRandom(11),
);

it.each([
  ['a linear model', linear],
  ['a network', network],
  ['trees', trees],
])('both tiers give the exact contributions of %s', async (_, bytes) => {
  const random = seededRandom(5);
  const session = await load(bytes);
  const evaluator = Evaluator.read(bytes, session);
  const { inputs, outputs } = session;
  for (let round = 0; round < 4; round += 1) {
    const [actual, baseline] = [0, 1].map(() =>
      Array.from({ length: WIDTH }, () => Math.floor(random() * 7) - 3),
    );
    if (actual === undefined || baseline === undefined) throw new Error('There are two rows.');
    const numberOf = (values: readonly number[]) => Number(evaluator.run(rowOf(values))['variable']?.data[0]);
    const wanted = shapleyByOrders(WIDTH, (set) =>
      numberOf(actual.map((value, at) => (set.has(at) ? value : (baseline[at] ?? 0)))),
    );
    for (const tier of [evaluator, session]) {
      const run = async (tensors: Tensors, names?: readonly string[]) => tier.run(tensors, names);
      const answer = { value: Number(tier.run(rowOf(actual))['variable']?.data[0]) };
      const graph = { inputs, outputs, run };
      const ends = { actual: rowOf(actual), baseline: rowOf(baseline) };
      const made = await explain({ definition, graph, answer, ...ends }, ports, () => true);
      const given = new Map(made.contributions.map((one) => [one.column, one.contribution]));
      for (const [at, value] of wanted.entries())
        expect(Math.abs((given.get(`c${at}`) ?? 0) - value)).toBeLessThanOrEqual(
          TOLERANCE * Math.max(1, Math.abs(value)),
        );
      const total = made.contributions.reduce((sum, one) => sum + one.contribution, made.baseline);
      expect(Math.abs(total - answer.value)).toBeLessThanOrEqual(
        TOLERANCE * Math.max(1, Math.abs(answer.value)),
      );
    }
    if (bytes !== linear) continue;
    for (const [at, value] of wanted.entries())
      expect(value).toBeCloseTo((COEFFICIENTS[at] ?? 0) * ((actual[at] ?? 0) - (baseline[at] ?? 0)), 4);
  }
  session.release();
});
