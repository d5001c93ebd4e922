import { describe, expect, it } from 'vitest';
import type { ModelDefinition } from '../../../src/define/model.ts';
import type { Manifest } from '../../../src/inference/bundle.ts';
import { ColdModels } from '../../../src/inference/cold-models.ts';
import type { Session } from '../../../src/inference/graph.ts';
import { LoadedModels } from '../../../src/inference/loaded-models.ts';
import { RuntimeSwitchedOff } from '../../../src/inference/phase.ts';
import type { LoadPorts } from '../../../src/inference/registry.ts';
import type { Tensor, Tensors } from '../../../src/inference/tensors.ts';
import { systemTime } from '../../../src/platform/clock.ts';
import { sha256Hex } from '../../../src/platform/digest.ts';
import { regressionGraph } from '../../support/onnx/graph.ts';
import { parameterLayout } from '../../support/onnx/network.ts';
import { MODEL_INPUT, MODEL_OUTPUT, writeOnnx } from '../../support/onnx/network-writer.ts';

const definition = { task: 'regression', name: 'm', fallback: undefined } as unknown as ModelDefinition;
const FLOATS = { datatype: 'FP32', shape: [-1, 1] } as const;
const INPUTS: Tensors = {
  features: { datatype: 'FP32', shape: [1, 2], data: Float32Array.of(1, 1) },
  count: { datatype: 'INT64', shape: [1, 1], data: BigInt64Array.of(5n) },
};

/** The regression 2·f0 + 3·f1 + count + 1 in a store, and a runtime that loads it when it is told to. */
async function world({
  computes = 11,
  share = 1,
  hasRuntime = (): boolean => true,
  isEvaluated = true,
} = {}) {
  const bytes = isEvaluated ? regressionGraph() : Uint8Array.of(1, 2, 3);
  let [reads, loads] = [0, 0];
  const sha256 = await sha256Hex(bytes);
  const manifest = {
    name: 'm',
    version: '1',
    model: { sha256, bytes: bytes.length },
    inputs: [
      { name: 'features', datatype: 'FP32', shape: [-1, 2] },
      { name: 'count', datatype: 'INT64', shape: [-1, 1] },
    ],
    outputs: [
      { name: 'variable', ...FLOATS },
      { name: 'doubled', ...FLOATS },
    ],
  } as unknown as Manifest;
  const float = (value: number): Tensor => ({
    datatype: 'FP32',
    shape: [1, 1],
    data: Float32Array.of(value),
  });
  const session: Session = {
    inputs: manifest.inputs,
    outputs: manifest.outputs,
    bytes: 1_000,
    isReleased: false,
    run: () => ({ variable: float(computes), doubled: float(22) }),
    release: () => undefined,
  };
  const [begun, loading] = [Promise.withResolvers<void>(), Promise.withResolvers<Session>()];
  const [ran, verdicts]: [string[], string[]] = [[], []];
  const ports: LoadPorts = {
    store: {
      get: async () => {
        reads += 1;
        return bytes;
      },
      put: async () => undefined,
    },
    loadGraph: async () => {
      loads += 1;
      begun.resolve();
      return await loading.promise;
    },
    tiers: {
      isSampled: () => share === 1,
      ran: (_, tier) => ran.push(tier),
      compared: (_, verdict) => verdicts.push(verdict),
    },
  };
  const models = new LoadedModels(systemTime, 10_000, hasRuntime);
  const kept: Promise<unknown>[] = [];
  const predict = async () => {
    const { graph } = await models.get(definition, manifest, ports, (work) => kept.push(work));
    return (await graph.run(INPUTS))['variable']?.data[0];
  };
  return {
    predict,
    session,
    begun: begun.promise,
    loading,
    kept,
    ran,
    verdicts,
    reads: () => reads,
    loads: () => loads,
  };
}

describe('a version that is being loaded', () => {
  it('is answered by the evaluator, and by the runtime once that has loaded it', async () => {
    const { predict, session, begun, loading, kept, ran, verdicts } = await world();
    expect(await predict()).toBe(11);
    expect(await predict()).toBe(11);
    expect(ran).toEqual(['evaluator', 'evaluator']);
    await begun;
    loading.resolve(session);
    await Promise.all(kept);
    expect(await predict()).toBe(11);
    expect(ran).toEqual(['evaluator', 'evaluator', 'runtime']);
    expect(verdicts).toEqual(['agrees']);
  });

  it('is not loaded by the runtime before the evaluator has answered', async () => {
    const { predict, begun, ran } = await world();
    const order: string[] = [];
    const loads = begun.then(() => order.push('load'));
    await predict().then(() => order.push('answer'));
    await loads;
    expect(order).toEqual(['answer', 'load']);
    expect(ran).toEqual(['evaluator']);
  });

  it('goes on being answered by the evaluator if the runtime cannot load it', async () => {
    const { predict, begun, loading, kept, ran } = await world();
    await predict();
    await begun;
    loading.reject(new Error('The runtime does not start.'));
    await Promise.all(kept);
    expect(await predict()).toBe(11);
    expect(ran).toEqual(['evaluator', 'evaluator']);
  });
});

describe('a version while the runtime is switched off', () => {
  it('is computed by the evaluator alone, and its artifacts are read once', async () => {
    const { predict, ran, loads, reads } = await world({ hasRuntime: () => false });
    for (let ask = 0; ask < 3; ask += 1) expect(await predict()).toBe(11);
    expect([ran, loads(), reads()]).toEqual([['evaluator', 'evaluator', 'evaluator'], 0, 1]);
  });

  it('is computed by the evaluator though the runtime has it, and by the runtime when that is on again', async () => {
    let isOn = true;
    const { predict, session, begun, loading, kept, ran } = await world({ hasRuntime: () => isOn });
    await predict();
    await begun;
    loading.resolve(session);
    await Promise.all(kept);
    await predict();
    isOn = false;
    await predict();
    isOn = true;
    await predict();
    expect(ran).toEqual(['evaluator', 'runtime', 'evaluator', 'runtime']);
  });

  it('does not answer if the evaluator does not compute it, and its artifacts are not read again in vain', async () => {
    const { predict, loads, reads } = await world({ hasRuntime: () => false, isEvaluated: false });
    for (let ask = 0; ask < 3; ask += 1) await expect(predict()).rejects.toBeInstanceOf(RuntimeSwitchedOff);
    expect([loads(), reads()]).toEqual([0, 1]);
  });
});

describe('the comparison in service', () => {
  it('puts an evaluator aside that differs: the runtime alone answers for the version', async () => {
    const { predict, session, begun, loading, kept, verdicts } = await world({ computes: 11.001 });
    expect(await predict()).toBe(11);
    await begun;
    loading.resolve(session);
    await Promise.all(kept);
    expect(await predict()).toBeCloseTo(11.001, 5);
    await predict();
    expect(verdicts).toEqual(['differs']);
  });

  it('is made only for the share of the runs that is sampled', async () => {
    const { predict, session, begun, loading, kept, verdicts } = await world({ share: 0 });
    await predict();
    await begun;
    loading.resolve(session);
    await Promise.all(kept);
    await predict();
    expect(verdicts).toEqual([]);
  });
});

describe('a network with large matrices', () => {
  const [width, hidden] = [64, 1_000];
  const parameters = new Float32Array(parameterLayout(width, hidden).length).fill(0.01);
  const mean = new Float32Array(width);
  const graph = writeOnnx({ width, hidden, mean, scale: mean.map(() => 1), parameters }, {});
  const signature = {
    inputs: [{ name: MODEL_INPUT, datatype: 'FP32', shape: [-1, width] }],
    outputs: [{ name: MODEL_OUTPUT, datatype: 'FP32', shape: [-1] }],
  } as unknown as Manifest;
  const run = (rows: number) =>
    new ColdModels().add('1', graph, signature, undefined)?.run({
      [MODEL_INPUT]: { datatype: 'FP32', shape: [rows, width], data: new Float32Array(rows * width) },
    });

  it('is evaluated for some rows, and left to the runtime for as many as would hold the isolate up', () => {
    expect(run(61)?.[MODEL_OUTPUT]?.data).toHaveLength(61);
    expect(run(62)).toBeUndefined();
  });
});
