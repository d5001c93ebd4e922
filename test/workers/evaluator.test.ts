import { describe, expect, it } from 'vitest';
import { Evaluator } from '../../src/inference/evaluator/evaluator.ts';
import { differenceOf } from '../../src/inference/evaluator/parity.ts';
import type { Session } from '../../src/inference/graph.ts';
import { OnnxRuntime } from '../../src/inference/onnx/runtime.ts';
import type { Tensor, Tensors } from '../../src/inference/tensors.ts';
import { MODEL_MEMORY_BYTES } from '../../src/platform/limits.ts';
import { type Random, seededRandom } from '../../src/platform/random.ts';
import { type ForestShape, forestGraph } from '../support/onnx/forest.ts';
import { classifierGraph, graphBytes, regressionGraph } from '../support/onnx/graph.ts';

const { load } = new OnnxRuntime(MODEL_MEMORY_BYTES);
const ROWS = 40;

/** Rows for each input of a graph: whole and other numbers, with some that are missing. */
function rowsFor({ inputs }: Session, random: Random, missing: number): Tensors {
  const value = () => {
    if (random() < missing) return Number.NaN;
    return random() < 0.5 ? Math.floor(random() * 5) - 2 : (random() - 0.5) * 6;
  };
  return Object.fromEntries(
    inputs.map(({ name, datatype, shape }): [string, Tensor] => {
      const made = shape.map((dimension) => (dimension < 0 ? ROWS : dimension));
      const size = made.reduce((total, dimension) => total * dimension, 1);
      const data =
        datatype === 'INT64'
          ? BigInt64Array.from({ length: size }, () => BigInt(Math.floor(random() * 9)))
          : Float32Array.from({ length: size }, value);
      return [name, { datatype, shape: made, data }];
    }),
  );
}

async function differenceIn(bytes: Uint8Array, seed: number, missing = 0): Promise<string | undefined> {
  const session = await load(bytes);
  const inputs = rowsFor(session, seededRandom(seed), missing);
  const difference = differenceOf(Evaluator.read(bytes, session).run(inputs), session.run(inputs));
  session.release();
  return difference;
}

const FORESTS: readonly ForestShape[] = [
  { trees: 1, depth: 0, columns: 2, outputs: 1, isRegression: true },
  { trees: 100, depth: 6, columns: 12, outputs: 1, isRegression: true, base: true },
  { trees: 20, depth: 4, columns: 5, outputs: 3, isRegression: true, base: true },
  { trees: 30, depth: 5, columns: 5, outputs: 2, isRegression: false },
  { trees: 30, depth: 5, columns: 5, outputs: 2, isRegression: false, transform: 'LOGISTIC', base: true },
  { trees: 30, depth: 5, columns: 5, outputs: 4, isRegression: false },
  { trees: 30, depth: 5, columns: 5, outputs: 4, isRegression: false, transform: 'SOFTMAX', base: true },
  { trees: 30, depth: 5, columns: 5, outputs: 3, isRegression: false, transform: 'LOGISTIC' },
];

describe('the evaluator agrees with the runtime', () => {
  it.each(FORESTS)('on random trees: %o', async (shape) => {
    for (let seed = 1; seed <= 5; seed += 1) {
      const bytes = forestGraph(shape, seededRandom(seed));
      expect([seed, await differenceIn(bytes, seed)]).toEqual([seed, undefined]);
      expect([seed, await differenceIn(bytes, seed, 0.3)]).toEqual([seed, undefined]);
    }
  });

  it.each([
    ['a regression with two inputs', regressionGraph()],
    ['a classification with text labels', classifierGraph()],
  ])('on %s', async (_, bytes) => {
    expect(await differenceIn(bytes, 1)).toBeUndefined();
  });

  it('on a network with normalised columns', async () => {
    const random = seededRandom(3);
    const weights = (length: number) => Array.from({ length }, () => random() - 0.5);
    const bytes = graphBytes({
      inputs: [['input', 'FLOAT', ['batch', 8]]],
      outputs: [['scores', 'FLOAT', ['batch', 3]]],
      nodes: [
        {
          op: 'Scaler',
          domain: 'ai.onnx.ml',
          inputs: ['input'],
          outputs: ['scaled'],
          attributes: { offset: weights(8), scale: weights(8) },
        },
        {
          op: 'Normalizer',
          domain: 'ai.onnx.ml',
          inputs: ['scaled'],
          outputs: ['normal'],
          attributes: { norm: 'L2' },
        },
        { op: 'Gemm', inputs: ['normal', 'w1', 'b1'], outputs: ['h1'], attributes: { transB: 1n } },
        { op: 'Tanh', inputs: ['h1'], outputs: ['a1'] },
        { op: 'MatMul', inputs: ['a1', 'w2'], outputs: ['h2'] },
        { op: 'Add', inputs: ['h2', 'b2'], outputs: ['a2'] },
        { op: 'Softmax', inputs: ['a2'], outputs: ['scores'] },
      ],
      constants: {
        w1: { dims: [16, 8], floats: weights(128) },
        b1: { dims: [16], floats: weights(16) },
        w2: { dims: [16, 3], floats: weights(48) },
        b2: { dims: [3], floats: weights(3) },
      },
    });
    expect(await differenceIn(bytes, 5)).toBeUndefined();
  });

  it('and the comparison finds a difference beyond the tolerance', async () => {
    const session = await load(regressionGraph());
    const inputs = rowsFor(session, seededRandom(1), 0);
    const computed = session.run(inputs);
    const { variable } = computed;
    if (variable === undefined) throw new Error('The graph has the output.');
    const moved = (by: number) => ({
      ...computed,
      variable: {
        ...variable,
        data: Float32Array.from(Array.from(variable.data, Number), (number) => {
          return number + by * Math.max(1, Math.abs(number));
        }),
      },
    });
    expect(differenceOf(moved(5e-6), computed)).toBeUndefined();
    expect(differenceOf(moved(2e-5), computed)).toMatch(/element 0 of "variable"/);
  });
});
