import { describe, expect, it } from 'vitest';
import { assertGraph } from '../../../src/inference/declared.ts';
import type { TensorSignature } from '../../../src/inference/tensors.ts';

const tensor = (name: string, shape: readonly number[]): TensorSignature => ({
  name,
  datatype: 'FP32',
  shape,
});
const graph = (outputs: readonly TensorSignature[], input = [-1, 5]) => ({
  inputs: [tensor('x', input)],
  outputs,
});
const refused = expect.objectContaining({ code: 'invalid_model' });

describe('a manifest beside its graph', () => {
  it('may leave free what the runtime infers of an output, and nothing else', () => {
    const inferred = graph([tensor('y', [1, 1]), tensor('z', [-1, 3])]);
    assertGraph(graph([tensor('z', [-1, 3]), tensor('y', [-1, 1])]), inferred);
    assertGraph(inferred, inferred);
    for (const other of [
      graph([tensor('y', [1, 1]), tensor('z', [2, 3])]),
      graph([tensor('y', [-1, 2]), tensor('z', [-1, 3])]),
      graph([tensor('y', [-1]), tensor('z', [-1, 3])]),
      graph([tensor('y', [1, 1])]),
      graph(inferred.outputs, [-1, 6]),
    ])
      expect(() => assertGraph(other, inferred)).toThrow(refused);
    expect(() => assertGraph(inferred, graph(inferred.outputs, [1, 5]))).toThrow(refused);
  });
});
