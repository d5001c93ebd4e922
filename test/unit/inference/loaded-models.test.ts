import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { ModelDefinition } from '../../../src/define/model.ts';
import type { Manifest } from '../../../src/inference/bundle.ts';
import { LoadedModels } from '../../../src/inference/loaded-models.ts';
import type { RegistryPorts } from '../../../src/inference/registry.ts';
import { withTimeout } from '../../../src/platform/clock.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const manifest = { name: 'm', version: '1', model: { sha256: 'x' } } as unknown as Manifest;
const definition = (fallback: object | undefined) =>
  ({ task: 'regression', name: 'm', fallback }) as unknown as ModelDefinition;
const hanging: RegistryPorts = {
  store: { get: () => new Promise(() => undefined), put: async () => undefined },
  loadGraph: async () => {
    throw new Error('There are no bytes to load.');
  },
};

it('waits a limited time for a load, shorter if a fallback can answer, and loads again after the load was lost', async () => {
  const models = new LoadedModels({ withTimeout }, 1_000);
  const keepAlive = vi.fn();
  const ask = (fallback: object | undefined) => {
    const startedAt = Date.now();
    const asked = models.get(definition(fallback), manifest, hanging, keepAlive);
    return asked.catch((error: unknown) => ({ error, tookMs: Date.now() - startedAt }));
  };
  const [without, withFallback] = [ask(undefined), ask({ value: 1 })];
  await vi.advanceTimersByTimeAsync(5_000);
  expect(await withFallback).toMatchObject({ error: { code: 'model_unavailable' }, tookMs: 800 });
  expect(await without).toMatchObject({
    error: { code: 'model_unavailable', retryAfterS: 1 },
    tookMs: 5_000,
  });
  // The first load is shared by both, and by those that come until it counts as lost.
  expect(keepAlive).toHaveBeenCalledTimes(1);
  await vi.advanceTimersByTimeAsync(20_000);
  const again = ask(undefined);
  expect(keepAlive).toHaveBeenCalledTimes(2);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(await again).toMatchObject({ tookMs: 5_000 });
});
