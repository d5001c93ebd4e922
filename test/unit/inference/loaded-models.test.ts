import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ModelDefinition } from '../../../src/define/model.ts';
import { isBroken } from '../../../src/inference/broken.ts';
import type { Manifest } from '../../../src/inference/bundle.ts';
import type { Session } from '../../../src/inference/graph.ts';
import { LoadedModels } from '../../../src/inference/loaded-models.ts';
import type { LoadPorts } from '../../../src/inference/registry.ts';
import { systemTime } from '../../../src/platform/clock.ts';
import { sha256Hex } from '../../../src/platform/digest.ts';
import { Failure } from '../../../src/platform/failure.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const definition = (fallback: object | undefined) =>
  ({ task: 'regression', name: 'm', fallback }) as unknown as ModelDefinition;
const time = { now: () => Date.now(), withTimeout: systemTime.withTimeout };
/** Lets time pass until a promise settles. Digests are computed outside of the faked time. */
async function settled<T>(promise: Promise<T>): Promise<T> {
  let isSettled = false;
  const done = () => {
    isSettled = true;
  };
  promise.then(done, done);
  while (!isSettled) {
    await vi.advanceTimersByTimeAsync(1);
    await sleep(1);
  }
  return await promise;
}
const keepAlive = vi.fn<(work: Promise<unknown>) => void>();

/** Models of a given size in a store and a runtime that count what they do. */
async function world(bytesMax: number, sizes: Readonly<Record<string, number>>) {
  const artifacts = new Map<string, Uint8Array<ArrayBuffer>>();
  const manifests = new Map<string, Manifest>();
  for (const [index, [name, bytes]] of Object.entries(sizes).entries()) {
    const artifact = new Uint8Array(bytes).fill(index + 1);
    const sha256 = await sha256Hex(artifact);
    artifacts.set(`artifacts/${sha256}`, artifact);
    manifests.set(name, { name, version: '1', model: { sha256, bytes } } as unknown as Manifest);
  }
  const models = new LoadedModels(time, bytesMax);
  const state = {
    reads: 0,
    loads: 0,
    reading: 0,
    readingMost: 0,
    lost: new Set<string>(),
    refused: false,
    breaks: '',
  };
  const sessions: string[] = [];
  const ports: LoadPorts = {
    store: {
      get: async (key) => {
        state.reads += 1;
        state.reading += artifacts.get(key)?.length ?? 0;
        state.readingMost = Math.max(state.readingMost, state.reading);
        await systemTime
          .withTimeout(new Promise(() => undefined), 10, () => new Error('late'))
          .catch(() => undefined);
        state.reading -= artifacts.get(key)?.length ?? 0;
        return artifacts.get(key);
      },
      put: async () => undefined,
    },
    loadGraph: async (bytes): Promise<Session> => {
      state.loads += 1;
      if (state.refused) throw new Failure('invalid_model', 'Too large.', { pointer: '/model' });
      models.makeRoom(bytes.length);
      const name = Object.keys(sizes)[(bytes[0] ?? 0) - 1] ?? '';
      let isReleased = false;
      sessions.push(name);
      return {
        inputs: [],
        outputs: [],
        bytes: bytes.length * 2,
        get isReleased() {
          isReleased ||= state.lost.delete(name);
          return isReleased;
        },
        run: () => {
          if (isReleased) throw new Error('It has been released.');
          if (state.breaks !== name) return {};
          // The runtime is one for all.
          for (const other of sessions) state.lost.add(other);
          throw new WebAssembly.RuntimeError('unreachable');
        },
        release: () => {
          if (!isReleased) sessions.splice(sessions.indexOf(name), 1);
          isReleased = true;
        },
      };
    },
  };
  const get = async (name: string) => {
    const manifest = manifests.get(name);
    if (manifest === undefined) throw new Error(`There is no ${name}.`);
    return await settled(models.get(definition(undefined), manifest, ports, keepAlive));
  };
  return { models, state, sessions, get, artifacts };
}

describe('the models in memory', () => {
  it('are hits as long as they fit together, and loaded once for all who ask at the same time', async () => {
    const { state, sessions, get, models } = await world(1_000, { a: 100, b: 100, c: 100 });
    await Promise.all(['a', 'a', 'b', 'c', 'a'].map(get));
    expect(state).toMatchObject({ loads: 3, reads: 3 });
    for (const name of ['c', 'a', 'b', 'a']) await (await get(name)).graph.run({});
    expect(state.loads).toBe(3);
    expect(sessions.toSorted()).toEqual(['a', 'b', 'c']);
    expect(models.bytes).toBe(600);
  });

  it('stay within the bound: the least recently used are released before another is loaded', async () => {
    const { state, sessions, get, models } = await world(800, { a: 100, b: 100, c: 100, large: 250 });
    await get('a');
    await get('b');
    await get('c');
    await get('a');
    // Its load needs 750; b, c and a have 600.
    await get('large');
    expect(sessions).toEqual(['large']);
    expect(models.bytes).toBe(500);
    await get('b');
    // 500 and 300 while it is loaded.
    expect(sessions).toEqual(['large', 'b']);
    await get('large');
    await get('c');
    expect(sessions).toEqual(['large', 'c']);
    expect(state.loads).toBe(6);
  });

  it('are loaded again by a run if they were evicted meanwhile, or the runtime has lost them', async () => {
    const { state, get } = await world(300, { a: 100, b: 100 });
    const model = await get('a');
    await get('b');
    await expect(settled(model.graph.run({}))).resolves.toEqual({});
    expect(state.loads).toBe(3);
    state.lost.add('a');
    await expect(settled(model.graph.run({}))).resolves.toEqual({});
    expect(state.loads).toBe(4);
  });

  it('are not loaded again and again if the runtime refuses them', async () => {
    const { state, get } = await world(300, { a: 100 });
    state.refused = true;
    const refused = { code: 'model_unavailable' };
    await expect(get('a')).rejects.toMatchObject(refused);
    await expect(get('a')).rejects.toMatchObject(refused);
    expect(state.loads).toBe(1);
    state.refused = false;
    await vi.advanceTimersByTimeAsync(60_000);
    await expect(get('a')).resolves.toBeDefined();
  });

  it('are not run for a minute if they broke the runtime, and the others are loaded anew', async () => {
    const { state, get } = await world(1_000, { a: 100, b: 100 });
    const [broken, other] = [await get('a'), await get('b')];
    state.breaks = 'a';
    const failure = { code: 'model_unavailable', message: expect.stringContaining('broke the runtime') };
    await expect(settled(broken.graph.run({}))).rejects.toMatchObject(failure);
    await expect(settled(other.graph.run({}))).resolves.toEqual({});
    await expect(settled(broken.graph.run({}))).rejects.toMatchObject(failure);
    expect(state.loads).toBe(3);
    state.breaks = '';
    await vi.advanceTimersByTimeAsync(60_000);
    await expect(settled(broken.graph.run({}))).resolves.toEqual({});
  });

  it('have a bounded share of memory for artifacts that are read', async () => {
    const { state, get } = await world(2 ** 30, { a: 8 << 20, b: 8 << 20, c: 8 << 20, d: 8 << 20 });
    await Promise.all(['a', 'b', 'c', 'd'].map(get));
    expect(state.loads).toBe(4);
    expect(state.readingMost).toBeLessThanOrEqual(20 << 20);
  });
});

it('waits a limited time for a load, shorter if a fallback can answer, and loads again after the load was lost', async () => {
  const manifest = { name: 'm', version: '1', model: { sha256: 'x', bytes: 1 } } as unknown as Manifest;
  const hanging: LoadPorts = {
    store: { get: () => new Promise(() => undefined), put: async () => undefined },
    loadGraph: async () => {
      throw new Error('There are no bytes to load.');
    },
  };
  const models = new LoadedModels(time, 1_000);
  keepAlive.mockClear();
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

it.each([
  { what: 'whose artifact is lost', isLost: true, isRefused: false, expected: true },
  { what: 'that the runtime refuses', isLost: false, isRefused: true, expected: true },
  { what: 'that is whole', isLost: false, isRefused: false, expected: false },
])('a version $what', async ({ isLost, isRefused, expected }) => {
  const { get, state, artifacts } = await world(1_000, { a: 10 });
  state.refused = isRefused;
  if (isLost) artifacts.clear();
  const error = await get('a').then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(isBroken(error)).toBe(expected);
});
