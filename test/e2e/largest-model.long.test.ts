import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeBundle, writeBundleFolder } from '../../scripts/models/bundle.ts';
import { publishFolder } from '../../scripts/models/publish.ts';
import { MODEL_BYTES_MAX } from '../../src/inference/bundle.ts';
import { ISOLATE_MEMORY_BYTES, MODEL_MEMORY_BYTES } from '../../src/platform/limits.ts';
import { expectedSpend } from '../support/catalog/models.ts';
import { eventually, KEY, type Stack, startStack } from '../support/node/stack.ts';
import { graphBytes } from '../support/onnx/graph.ts';

/**
 * The JavaScript heap that is left of the isolate's memory beside the WASM memory of the runtime and two copies of the
 * artifact, which V8 does not count as heap. V8 ends the process when the heap is full.
 */
const HEAP_MIB = (ISOLATE_MEMORY_BYTES - MODEL_MEMORY_BYTES - 2 * MODEL_BYTES_MAX) / 1024 / 1024;

let stack: Stack;
beforeAll(async () => {
  process.env['MINIFLARE_WORKERD_V8_FLAGS'] = `--max-heap-size=${HEAP_MIB}`;
  stack = await startStack();
});
afterAll(async () => {
  await stack[Symbol.asyncDispose]();
  delete process.env['MINIFLARE_WORKERD_V8_FLAGS'];
});

const WIDTH = 512;

/** `variable = count`, from layers of weights that fill a file of the largest size. */
function largestRegression(): Uint8Array<ArrayBuffer> {
  const layers = Math.floor((MODEL_BYTES_MAX - 64 * 1024) / 4 / WIDTH / WIDTH);
  const matrix = (rows: number, columns: number) => ({
    dims: [rows, columns],
    floats: new Array(rows * columns).fill(0),
  });
  const hidden = Array.from({ length: layers }, (_, layer) => layer);
  return graphBytes({
    inputs: [
      ['features', 'FLOAT', ['batch', 2]],
      ['count', 'INT64', ['batch', 1]],
    ],
    outputs: [
      ['variable', 'FLOAT', ['batch', 1]],
      ['doubled', 'FLOAT', ['batch', 1]],
    ],
    constants: {
      first: matrix(2, WIDTH),
      last: matrix(WIDTH, 1),
      ...Object.fromEntries(hidden.map((layer) => [`weights${layer}`, matrix(WIDTH, WIDTH)])),
    },
    nodes: [
      { op: 'MatMul', inputs: ['features', 'first'], outputs: ['hidden0'] },
      ...hidden.map((layer) => ({
        op: 'MatMul',
        inputs: [`hidden${layer}`, `weights${layer}`],
        outputs: [`hidden${layer + 1}`],
      })),
      { op: 'MatMul', inputs: [`hidden${layers}`, 'last'], outputs: ['zero'] },
      { op: 'Cast', inputs: ['count'], outputs: ['counted'], attributes: { to: 1n } },
      { op: 'Add', inputs: ['zero', 'counted'], outputs: ['variable'] },
      { op: 'Add', inputs: ['variable', 'variable'], outputs: ['doubled'] },
    ],
  });
}

it(`publishes and serves a model of ${MODEL_BYTES_MAX} bytes with a heap of ${HEAP_MIB} MiB`, async () => {
  const onnx = largestRegression();
  expect(onnx.length).toBeGreaterThan(MODEL_BYTES_MAX * 0.9);
  const { body } = await makeBundle(expectedSpend, {
    onnx,
    golden: {
      inputs: { features: [[1, 1]], count: [[5]] },
      outputs: { variable: [[5]], doubled: [[10]] },
      tolerance: 1e-5,
    },
  });
  const folder = mkdtempSync(join(tmpdir(), 'millrace-largest-'));
  try {
    await writeBundleFolder(folder, body);
    const target = { url: stack.url.origin, key: KEY };
    // Several times, as a version is replaced while another is in memory.
    for (let time = 0; time < 3; time += 1) {
      const { version } = await publishFolder(folder, target);
      const answers = await Promise.all(
        Array.from({ length: 10 }, (_, customer) =>
          eventually(
            () => predict(`customer-${time}-${customer}`),
            (answer) => answer['value'] !== undefined,
            60_000,
          ),
        ),
      );
      for (const answer of answers) expect(answer).toMatchObject({ model: { version }, source: 'model' });
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

async function predict(key: string): Promise<Readonly<Record<string, unknown>>> {
  const { json } = await stack.caller.ask('POST', '/v1/predictions/expected-spend', { json: { key } });
  return json;
}
