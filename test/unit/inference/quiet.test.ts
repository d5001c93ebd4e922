import { setTimeout as sleep } from 'node:timers/promises';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ModelDefinition } from '../../../src/define/model.ts';
import type { Manifest } from '../../../src/inference/bundle.ts';
import { LoadedModels } from '../../../src/inference/loaded-models.ts';
import { LATEST_MS, QUIET_MS, waitBeforeLoad } from '../../../src/inference/quiet.ts';
import type { LoadPorts } from '../../../src/inference/registry.ts';
import type { Tensors } from '../../../src/inference/tensors.ts';
import { systemTime } from '../../../src/platform/clock.ts';
import { sha256Hex } from '../../../src/platform/digest.ts';
import { regressionGraph } from '../../support/onnx/graph.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const definition = { task: 'regression', fallback: undefined } as unknown as ModelDefinition;
const inputs = (rows: number): Tensors => ({
  features: { datatype: 'FP32', shape: [rows, 2], data: new Float32Array(rows * 2).fill(1) },
  count: { datatype: 'INT64', shape: [rows, 1], data: new BigInt64Array(rows).fill(5n) },
});
/** An ONNX file of a given size: the rest is the field `doc_string`, in as many parts as the bytes need. */
function padded(graph: Uint8Array, bytes: number): Uint8Array<ArrayBuffer> {
  const file = new Uint8Array(bytes);
  file.set(graph);
  const length = bytes - graph.length - 5;
  // A length of four bytes with seven bits each.
  const digits = [0, 7, 14, 21].map((shift) => ((length >> shift) & 0x7f) | (shift < 21 ? 0x80 : 0));
  file.set([0x32, ...digits], graph.length);
  return file;
}

/** Models that the evaluator computes, except for `other`, and a runtime that notes which of them it loads. */
async function world(sizes: Readonly<Record<string, number>> = { a: 0, b: 0 }) {
  const artifacts = new Map<string, Uint8Array<ArrayBuffer>>();
  const manifests = new Map<string, Manifest>();
  for (const [name, bytes] of Object.entries({ ...sizes, other: 0 })) {
    const graph = name === 'other' ? Uint8Array.of(0) : regressionGraph();
    const file = bytes === 0 ? graph : padded(graph, bytes);
    const sha256 = await sha256Hex(file);
    artifacts.set(`artifacts/${sha256}`, file);
    const floats = { datatype: 'FP32', shape: [-1, 1] };
    manifests.set(name, {
      ...{ name, version: '1', model: { sha256, bytes: file.length } },
      inputs: [
        { name: 'features', datatype: 'FP32', shape: [-1, 2] },
        { name: 'count', datatype: 'INT64', shape: [-1, 1] },
      ],
      outputs: [
        { name: 'variable', ...floats },
        { name: 'doubled', ...floats },
      ],
    } as unknown as Manifest);
  }
  const startedAt = Date.now();
  /** When the runtime began a load, in milliseconds since the start. */
  const loads: number[] = [];
  const tiers: string[] = [];
  const ports: LoadPorts = {
    store: { get: async (key) => artifacts.get(key), put: async () => undefined },
    loadGraph: async () => {
      loads.push(Date.now() - startedAt);
      return {
        inputs: [],
        outputs: [],
        bytes: 1,
        isReleased: false,
        run: () => ({}),
        release: () => undefined,
      };
    },
    tiers: { isSampled: () => false, ran: (_, tier) => tiers.push(tier), compared: () => undefined },
  };
  const models = new LoadedModels({ now: () => Date.now(), withTimeout: systemTime.withTimeout }, 1 << 30);
  const ask = async (name: string, rows = 1) => {
    const manifest = manifests.get(name);
    if (manifest === undefined) throw new Error(`There is no ${name}.`);
    const asking = models
      .get(definition, manifest, ports, () => undefined)
      .then(async ({ graph }) => await graph.run(inputs(rows)));
    await read(asking);
  };
  return { ask, loads, tiers };
}

/** Looks for an answer, each after a millisecond of real time, before the faked time goes on. */
const LOOKS = 2_000;

/**
 * Waits for an answer while the faked time stands, because digests are computed outside of it. For an answer that waits
 * for the time, it goes on in the end.
 */
async function read(promise: Promise<unknown>): Promise<void> {
  let isSettled = false;
  void promise.finally(() => {
    isSettled = true;
  });
  for (let looks = 0; !isSettled; looks += 1) {
    await vi.advanceTimersByTimeAsync(looks < LOOKS ? 0 : 1);
    await sleep(1);
  }
  await promise;
}

describe('the runtime', () => {
  it('does not start between requests that come close together, also for different models', async () => {
    const { ask, loads, tiers } = await world();
    for (const name of ['a', 'b', 'a', 'b', 'a', 'b']) {
      await ask(name);
      await vi.advanceTimersByTimeAsync(QUIET_MS - 1);
    }
    expect(loads).toEqual([]);
    expect(new Set(tiers)).toEqual(new Set(['evaluator']));
  });

  it('starts when the requests pause, and answers from then on', async () => {
    const { ask, loads, tiers } = await world({ a: 0 });
    await ask('a');
    await vi.advanceTimersByTimeAsync(100);
    await ask('a');
    await vi.advanceTimersByTimeAsync(QUIET_MS);
    expect(loads).toEqual([100 + QUIET_MS]);
    await ask('a');
    expect(tiers).toEqual(['evaluator', 'evaluator', 'runtime']);
  });

  it('starts at the latest after the bound, if the requests never pause', async () => {
    const { ask, loads } = await world({ a: 0 });
    for (let ms = 0; ms <= LATEST_MS + 100; ms += 100) {
      await ask('a');
      await vi.advanceTimersByTimeAsync(100);
    }
    expect(loads).toEqual([LATEST_MS]);
  });

  it('starts at once for a graph, and for a batch, that the evaluator does not compute', async () => {
    const { ask, loads, tiers } = await world({ a: 0 });
    await ask('other');
    expect(loads).toEqual([0]);
    await ask('a');
    await ask('a', 10_000);
    expect(loads).toEqual([0, 0]);
    expect(tiers).toEqual(['runtime', 'evaluator', 'runtime']);
  });

  it('starts at once if a graph has to be read, and those that wait hold the memory for it', async () => {
    const large = 3 << 20;
    const { ask, loads } = await world({
      a: large,
      b: large,
      c: large,
      d: large,
      e: large,
      f: large,
      g: large,
    });
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) await ask(name);
    expect(loads).toEqual([]);
    await ask('g');
    expect(loads).toEqual(Array.from({ length: 6 }, () => 0));
  });
});

describe('the wait before a load', () => {
  const moment = fc.integer({ min: 0, max: 20_000 });

  it('ends with the pause or with the bound, whichever comes first', () => {
    fc.assert(
      fc.property(moment, moment, moment, (answeredMs, askedMs, nowMs) => {
        const waitMs = waitBeforeLoad({ answeredMs, askedMs, nowMs });
        const isQuiet = nowMs >= askedMs + QUIET_MS;
        const isLate = nowMs >= answeredMs + LATEST_MS;
        expect(waitMs === 0).toBe(isQuiet || isLate);
        // Waiting that long ends the wait, unless a model is asked meanwhile.
        expect(waitBeforeLoad({ answeredMs, askedMs, nowMs: nowMs + waitMs })).toBe(0);
      }),
    );
  });
});
