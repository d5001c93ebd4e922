import { expect, it } from 'vitest';
import { MODEL_MEMORY_BYTES } from '../../src/platform/limits.ts';
import { startModelMemory } from '../support/node/model-memory.ts';
import { shareOf } from '../support/node/part.ts';
import { denseGraph } from '../support/onnx/graph.ts';

const MIB = 1024 * 1024;
const SWAPS = shareOf(10_000, 0.05);
const SWAPS_OF_LARGE = shareOf(300, 0.3);
/** V8 compiles more of the runtime as it is used, and frees memory late. 10,000 sessions that are kept take 700 MiB. */
const GROWTH_BYTES_MAX = 48 * MIB;

it(`the memory of the process is flat over ${SWAPS} swaps of models`, async () => {
  await using worker = await startModelMemory();
  const names = ['a', 'b', 'c'];
  for (const [index, name] of names.entries()) await worker.keep(name, denseGraph(3_000, 27 + index));
  // A request for each 500 swaps, as no invocation lasts longer.
  const swap = () => worker.run(names, { times: 167, evict: true });
  await swap();
  await swap();
  const before = await swap();
  let after = before;
  while (after.loads - before.loads < SWAPS) after = await swap();
  expect(after.heapBytes).toBe(before.heapBytes);
  expect(after.rssBytes - before.rssBytes).toBeLessThan(GROWTH_BYTES_MAX);
  console.log(
    `${after.loads - before.loads} swaps: ${(after.rssBytes - before.rssBytes) / MIB} MiB of growth`,
  );
});

it(`the memory of the process is flat over ${SWAPS_OF_LARGE} swaps of models of 12 and 6 MB`, async () => {
  await using worker = await startModelMemory();
  for (const [name, bytes] of [
    ['a', 11],
    ['b', 11],
    ['c', 6],
  ] as const)
    await worker.keep(name, denseGraph(bytes * MIB, name === 'b' ? 256 : 512));
  const swap = () => worker.run(['a', 'b', 'c'], { times: 10, evict: true });
  await swap();
  const before = await swap();
  let after = before;
  while (after.loads - before.loads < SWAPS_OF_LARGE) after = await swap();
  expect(after.heapBytes).toBeLessThanOrEqual(MODEL_MEMORY_BYTES);
  expect(after.rssBytes - before.rssBytes).toBeLessThan(GROWTH_BYTES_MAX);
  console.log(
    `${(after.rssBytes - before.rssBytes) / MIB} MiB of growth, ${after.heapBytes / MIB} MiB of WASM`,
  );
});
