import { afterAll, beforeAll, expect, it } from 'vitest';
import { MODEL_BYTES_MAX } from '../../src/inference/bundle.ts';
import { MODEL_MEMORY_BYTES } from '../../src/platform/limits.ts';
import { type ModelMemory, startModelMemory } from '../support/node/model-memory.ts';
import { denseGraph, graphBytes, treeGraph } from '../support/onnx/graph.ts';

const MIB = 1024 * 1024;

let worker: ModelMemory;
beforeAll(async () => {
  worker = await startModelMemory();
});
afterAll(async () => {
  await worker[Symbol.asyncDispose]();
});

it('keeps the memory of the runtime while models are loaded and released', async () => {
  await worker.keep('small', denseGraph(3_000, 27));
  const first = await worker.run(['small'], { times: 200, evict: true });
  const then = await worker.run(['small'], { times: 600, evict: true });
  expect(then.loads - first.loads).toBe(600);
  // 600 sessions that are not released take 14 MiB more. The long test measures the whole process.
  expect(then.heapBytes).toBe(first.heapBytes);
});

it('has several models in memory at once if they fit, each loaded once', async () => {
  await worker.keep('one', denseGraph(4 * MIB));
  await worker.keep('two', denseGraph(3 * MIB, 256));
  const { loads: before } = await worker.run(['small']);
  const { loads, answers } = await worker.run(['one', 'two', 'small'], { times: 20, atOnce: 5 });
  expect(answers).toHaveLength(3);
  expect(loads - before).toBe(2);
});

it('loads a model of the largest size beside others, within the memory of models', async () => {
  const largest = denseGraph(MODEL_BYTES_MAX - 4_096);
  expect(largest.length).toBeGreaterThan(MODEL_BYTES_MAX * 0.9);
  expect(largest.length).toBeLessThanOrEqual(MODEL_BYTES_MAX);
  await worker.keep('largest', largest);
  const { answers, heapBytes } = await worker.run(['largest', 'one', 'two', 'small'], {
    times: 10,
    atOnce: 3,
  });
  expect(answers).toEqual(answers.map(() => expect.any(Number)));
  expect(heapBytes).toBeLessThanOrEqual(MODEL_MEMORY_BYTES);
});

it('refuses a graph that needs more memory, once, and serves the others afterwards', async () => {
  await worker.keep('trees', treeGraph(1_200));
  const { answers, heapBytes, loads } = await worker.run(['trees', 'small']);
  expect(answers).toEqual([expect.stringContaining('ran out of its'), expect.any(Number)]);
  expect(heapBytes).toBeLessThanOrEqual(MODEL_MEMORY_BYTES);
  const again = await worker.run(['trees', 'small'], { times: 20 });
  expect(again.answers).toEqual([expect.stringContaining('ran out of its'), expect.any(Number)]);
  expect(again.loads).toBe(loads);
});

it('keeps its memory while graphs are refused', async () => {
  const broken = (version: number) =>
    graphBytes({
      inputs: [['input', 'FLOAT', ['batch', 512]]],
      outputs: [['output', 'FLOAT', ['batch', 512]]],
      constants: { weights: { dims: [512, 512], floats: new Array(512 * 512).fill(version) } },
      nodes: [{ op: 'NoSuchOperator', inputs: ['input', 'weights'], outputs: ['output'] }],
    });
  for (let version = 0; version < 40; version += 1) {
    await worker.keep('broken', broken(version));
    const { answers, heapBytes } = await worker.run(['broken', 'small']);
    expect(answers).toEqual([expect.stringContaining('NoSuchOperator'), expect.any(Number)]);
    expect(heapBytes).toBeLessThan(MODEL_MEMORY_BYTES / 2);
  }
});
