import { expect, it } from 'vitest';
import { nodeRuntime } from '../../../scripts/models/node-runtime.ts';
import { sha256Hex } from '../../../src/platform/digest.ts';
import { modelOf, SAME_EVERYWHERE } from '../../support/training/same-everywhere.ts';

it.each(SAME_EVERYWHERE)('$recipe trains in Node to the same bytes as in workerd', async (training) => {
  expect(await sha256Hex(await modelOf(training, nodeRuntime))).toBe(training.sha256);
});
