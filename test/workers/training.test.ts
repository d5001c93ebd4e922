import { expect, it } from 'vitest';
import { OnnxRuntime } from '../../src/inference/onnx/runtime.ts';
import { sha256Hex } from '../../src/platform/digest.ts';
import { MODEL_MEMORY_BYTES } from '../../src/platform/limits.ts';
import { modelOf, SAME_EVERYWHERE } from '../support/training/same-everywhere.ts';

const runtime = new OnnxRuntime(MODEL_MEMORY_BYTES);

it.each(SAME_EVERYWHERE)('$recipe trains in workerd to the same bytes as in Node', async (training) => {
  expect(await sha256Hex(await modelOf(training, runtime))).toBe(training.sha256);
});
