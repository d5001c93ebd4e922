import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { Evaluator } from '../../../src/inference/evaluator/evaluator.ts';
import { NotEvaluated } from '../../../src/inference/evaluator/not-evaluated.ts';
import { seededRandom } from '../../../src/platform/random.ts';
import { forestGraph } from '../../support/onnx/forest.ts';
import { graphBytes } from '../../support/onnx/graph.ts';

const FLOATS = { datatype: 'FP32' } as const;
const SIGNATURE = {
  inputs: [{ name: 'input', ...FLOATS, shape: [-1, 2] }],
  outputs: [{ name: 'output', ...FLOATS, shape: [-1, 2] }],
};

/** A graph of one node from `input` to `output`. */
function single(node: {
  op: string;
  domain?: 'ai.onnx.ml';
  attributes?: Record<string, readonly bigint[] | string>;
}) {
  return graphBytes({
    inputs: [['input', 'FLOAT', ['batch', 2]]],
    outputs: [['output', 'FLOAT', ['batch', 2]]],
    nodes: [{ ...node, inputs: ['input'], outputs: ['output'] }],
  });
}

describe('a graph is left to the runtime', () => {
  it.each([
    ['an operator that is not evaluated', single({ op: 'Erf' }), 'the operator Erf'],
    [
      'an attribute that is not known',
      single({ op: 'Relu', attributes: { extra: 'a' } }),
      'Relu: the attribute extra',
    ],
    [
      'a transform that exporters do not use',
      single({
        op: 'LinearRegressor',
        domain: 'ai.onnx.ml',
        attributes: { post_transform: 'PROBIT' },
      }),
      /LinearRegressor/,
    ],
  ])('for %s, and the reason names it', (_, bytes, reason) => {
    expect(() => Evaluator.read(bytes, SIGNATURE)).toThrow(reason);
  });

  it('for a constant or an input of a type that it does not compute with', () => {
    const bytes = graphBytes({
      inputs: [['input', 'INT64', ['batch', 2]]],
      outputs: [['output', 'INT64', ['batch', 2]]],
      nodes: [{ op: 'Abs', inputs: ['input'], outputs: ['output'] }],
    });
    const integers = { datatype: 'INT64', shape: [-1, 2] } as const;
    const signature = {
      inputs: [{ name: 'input', ...integers }],
      outputs: [{ name: 'output', ...integers }],
    };
    expect(() => Evaluator.read(bytes, signature)).toThrow('elements of the type INT64');
  });

  it('for trees in which a row could go round for ever', () => {
    const tree = (yes: readonly bigint[]) =>
      graphBytes({
        inputs: [['input', 'FLOAT', ['batch', 2]]],
        outputs: [['output', 'FLOAT', ['batch', 1]]],
        nodes: [
          {
            op: 'TreeEnsembleRegressor',
            domain: 'ai.onnx.ml',
            inputs: ['input'],
            outputs: ['output'],
            attributes: {
              nodes_treeids: [0n, 0n, 0n, 0n, 0n],
              nodes_nodeids: [0n, 1n, 2n, 3n, 4n],
              nodes_modes: ['BRANCH_LEQ', 'BRANCH_LEQ', 'LEAF', 'LEAF', 'LEAF'],
              nodes_truenodeids: yes,
              nodes_falsenodeids: [2n, 3n, 0n, 0n, 0n],
              nodes_featureids: [0n, 0n, 0n, 0n, 0n],
              nodes_values: [0, 0, 0, 0, 0],
              target_treeids: [0n],
              target_nodeids: [2n],
              target_ids: [0n],
              target_weights: [1],
              n_targets: 1n,
            },
          },
        ],
      });
    const signature = { ...SIGNATURE, outputs: [{ name: 'output', ...FLOATS, shape: [-1, 1] }] };
    expect(Evaluator.read(tree([1n, 4n, 0n, 0n, 0n]), signature)).toBeInstanceOf(Evaluator);
    expect(() => Evaluator.read(tree([1n, 1n, 0n, 0n, 0n]), signature)).toThrow('two nodes that lead to one');
  });

  it('for bytes that are changed or cut anywhere, unless they are still a graph', () => {
    const shape = { trees: 3, depth: 3, columns: 2, outputs: 2, isRegression: true };
    const whole = forestGraph(shape, seededRandom(1));
    const signature = { ...SIGNATURE, outputs: [{ name: 'variable', ...FLOATS, shape: [-1, 2] }] };
    const input = { datatype: 'FP32', shape: [1, 2], data: Float32Array.of(0, 1) } as const;
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(255), fc.nat(whole.length), (at, byte, length) => {
        const changed = whole.slice(0, Math.max(length, whole.length / 2));
        changed[Math.min(at, changed.length - 1)] = byte;
        try {
          Evaluator.read(changed, signature).run({ input });
        } catch (error) {
          expect(error).toBeInstanceOf(NotEvaluated);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('a model that scikit-learn made', () => {
  const folder = join(import.meta.dirname, '../../support/onnx/scikit-learn');
  const golden = z
    .object({
      inputs: z.object({ input: z.array(z.array(z.number())) }),
      outputs: z.record(z.string(), z.array(z.unknown())),
    })
    .parse(JSON.parse(readFileSync(join(folder, 'mood.golden.json'), 'utf8')));

  it('has the outputs that scikit-learn computes', () => {
    const bytes = Uint8Array.from(readFileSync(join(folder, 'mood.onnx')));
    const rows = golden.inputs.input;
    const columns = rows[0]?.length ?? 0;
    const evaluator = Evaluator.read(bytes, {
      inputs: [{ name: 'input', ...FLOATS, shape: [-1, columns] }],
      outputs: [
        { name: 'label', datatype: 'BYTES', shape: [-1] },
        { name: 'probabilities', ...FLOATS, shape: [-1, 3] },
      ],
    });
    const input = {
      datatype: 'FP32',
      shape: [rows.length, columns],
      data: Float32Array.from(rows.flat()),
    } as const;
    const { label, probabilities } = evaluator.run({ input });
    expect(label?.data).toEqual(golden.outputs['label']);
    const expected = (golden.outputs['probabilities'] ?? []).flat() as number[];
    for (const [index, value] of expected.entries()) expect(probabilities?.data[index]).toBeCloseTo(value, 5);
  });
});
