import { describe, expect, it } from 'vitest';
import { type Bundle, Manifest, versionOf } from '../../src/inference/bundle.ts';
import { fromJson, toJson } from '../../src/inference/json-elements.ts';
import { championKey } from '../../src/inference/names.ts';
import { OnnxInstance } from '../../src/inference/onnx/instance.ts';
import { OnnxRuntime } from '../../src/inference/onnx/runtime.ts';
import { check, type RegistryPorts, readChampion } from '../../src/inference/registry.ts';
import { inputTensors } from '../../src/inference/tensor-request.ts';
import { sleep, systemNow } from '../../src/platform/clock.ts';
import { sha256Hex } from '../../src/platform/digest.ts';
import { MODEL_MEMORY_BYTES } from '../../src/platform/limits.ts';
import { mood } from '../support/catalog/models.ts';
import { classifierGraph, echoGraph, graphBytes, regressionGraph } from '../support/onnx/graph.ts';

const { load: loadGraph } = new OnnxRuntime(MODEL_MEMORY_BYTES);

/** Of each type: ONNX's name, and elements at its bounds as JSON has them. */
const TYPES = [
  ['BOOL', 'BOOL', [true, false]],
  ['INT8', 'INT8', [-128, 127]],
  ['INT16', 'INT16', [-32_768, 32_767]],
  ['INT32', 'INT32', [-2_147_483_648, 2_147_483_647]],
  ['INT64', 'INT64', ['-9223372036854775808', 9_007_199_254_740_991]],
  ['UINT8', 'UINT8', [0, 255]],
  ['UINT16', 'UINT16', [0, 65_535]],
  ['UINT32', 'UINT32', [0, 4_294_967_295]],
  ['UINT64', 'UINT64', [0, '18446744073709551615']],
  ['FP16', 'FLOAT16', [65_504, 'NaN']],
  ['FP32', 'FLOAT', [1.5, 'NaN']],
  ['FP64', 'DOUBLE', [0.1, '-Infinity']],
  ['BYTES', 'STRING', ['\ufeffa text of more than sixteen bytes', 'Grüße 🚲']],
] as const;

describe('the runtime', () => {
  it('returns every element type unchanged, in one graph with an input of each', async () => {
    const graph = await loadGraph(echoGraph(TYPES.map(([, type]) => type)));
    expect(graph.inputs).toEqual(
      TYPES.map(([datatype, type]) => ({ name: type.toLowerCase(), datatype, shape: [-1] })),
    );
    const request = {
      inputs: TYPES.map(([datatype, type, data]) => ({
        name: type.toLowerCase(),
        datatype,
        shape: [2],
        data: [...data],
      })),
    };
    const outputs = graph.run(inputTensors(request, graph.inputs));
    for (const [datatype, type, data] of TYPES) {
      const output = outputs[`${type.toLowerCase()}_out`];
      expect(output, datatype).toMatchObject({ datatype, shape: [2] });
      expect(output && toJson(output), datatype).toEqual(data);
    }
  });

  it.each([
    ['a scalar', [], [], 1],
    ['no rows', ['rows', 3], [0, 3], 0],
  ])('returns %s of every element type', async (_, dimensions, shape, count) => {
    const graph = await loadGraph(
      echoGraph(
        TYPES.map(([, type]) => type),
        dimensions,
      ),
    );
    const inputs = TYPES.map(([datatype, type, data]) => ({
      name: type.toLowerCase(),
      datatype,
      shape,
      data: data.slice(0, count),
    }));
    const outputs = graph.run(inputTensors({ inputs }, graph.inputs));
    for (const { name, datatype, data } of inputs) {
      const output = outputs[`${name}_out`];
      expect(output, datatype).toMatchObject({ datatype, shape });
      expect(output && toJson(output), datatype).toEqual(data);
    }
  });

  it('computes the outputs that are asked for', async () => {
    const graph = await loadGraph(echoGraph(['FLOAT', 'INT64']));
    const inputs = {
      float: { datatype: 'FP32', shape: [1], data: Float32Array.of(2) },
      int64: { datatype: 'INT64', shape: [1], data: BigInt64Array.of(3n) },
    } as const;
    expect(Object.keys(graph.run(inputs, ['int64_out']))).toEqual(['int64_out']);
    expect(Object.keys(graph.run(inputs))).toEqual(['float_out', 'int64_out']);
  });

  it('does not copy outputs that are larger than an answer may be, and answers afterwards', async () => {
    const graph = await loadGraph(
      graphBytes({
        inputs: [['shape', 'INT64', ['rank']]],
        outputs: [['filled', 'FLOAT', ['any']]],
        nodes: [{ op: 'ConstantOfShape', inputs: ['shape'], outputs: ['filled'] }],
      }),
    );
    const filled = (elements: bigint) =>
      graph.run({ shape: { datatype: 'INT64', shape: [1], data: BigInt64Array.of(elements) } })['filled'];
    expect(() => filled(2_100_000n)).toThrow(/more than 8388608 bytes/);
    expect(filled(2n)?.data).toEqual(Float32Array.of(0, 0));
  });

  it('runs two inputs of different types and returns two outputs', async () => {
    const graph = await loadGraph(regressionGraph());
    expect(graph.inputs).toEqual([
      { name: 'features', datatype: 'FP32', shape: [-1, 2] },
      { name: 'count', datatype: 'INT64', shape: [-1, 1] },
    ]);
    const outputs = graph.run({
      features: { datatype: 'FP32', shape: [2, 2], data: Float32Array.of(1, 1, 0, 10) },
      count: { datatype: 'INT64', shape: [2, 1], data: BigInt64Array.of(5n, 0n) },
    });
    expect(outputs['variable'] && toJson(outputs['variable'])).toEqual([11, 31]);
    expect(outputs['doubled'] && toJson(outputs['doubled'])).toEqual([22, 62]);
  });

  it('runs a classifier of ai.onnx.ml with text labels', async () => {
    const graph = await loadGraph(classifierGraph());
    expect(graph.outputs).toEqual([
      { name: 'label', datatype: 'BYTES', shape: [-1] },
      { name: 'probabilities', datatype: 'FP32', shape: [-1, 3] },
    ]);
    const { label, probabilities } = graph.run({
      input: { datatype: 'FP32', shape: [3, 2], data: Float32Array.of(-5, 0, 0, 0, 3, 4) },
    });
    expect(label?.data).toEqual(['low', 'medium', 'high']);
    const sums = probabilities && toJson(probabilities).slice(0, 3).map(Number);
    expect(sums?.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 5);
  });

  it('refuses bytes that are not a graph, and an output that is not a tensor, with a remedy', async () => {
    await expect(loadGraph(Uint8Array.of(1, 2, 3))).rejects.toMatchObject({ code: 'invalid_model' });
    const zipmap = graphBytes({
      inputs: [['input', 'FLOAT', ['batch', 2]]],
      outputs: [['maps', 'SEQUENCE_OF_MAPS', []]],
      nodes: [
        {
          op: 'ZipMap',
          domain: 'ai.onnx.ml',
          inputs: ['input'],
          outputs: ['maps'],
          attributes: { classlabels_strings: ['a', 'b'] },
        },
      ],
    });
    await expect(loadGraph(zipmap)).rejects.toMatchObject({
      code: 'invalid_model',
      pointer: '/model',
      message: expect.stringContaining("options={'zipmap': False}"),
    });
  });
});

it('a trap and a stack that overflows break an instance, and the errors of the runtime do not', async () => {
  const broken = async (call: (instance: OnnxInstance) => void) => {
    const instance = await OnnxInstance.start(MODEL_MEMORY_BYTES);
    expect(() => instance.call(() => call(instance))).toThrow();
    return instance.isBroken;
  };
  const deep = (): number => 1 + deep();
  expect(await broken(({ module }) => void module._OrtReleaseSession(0x7fff_fff0))).toBe(true);
  expect(await broken(() => void deep())).toBe(true);
  expect(await broken((instance) => instance.check(1, 'run a graph'))).toBe(false);
});

it('a shared dimension that differs is an error of the runtime, and the graph answers afterwards', async () => {
  const graph = await loadGraph(regressionGraph());
  const count = fromJson('INT64', [1, 2, 3]);
  if (!count.ok) throw new Error('unreachable');
  const features = { datatype: 'FP32', shape: [2, 2], data: Float32Array.of(1, 1, 1, 1) } as const;
  expect(() =>
    graph.run({ features, count: { datatype: 'INT64', shape: [3, 1], data: count.data } }),
  ).toThrow();
  const { variable } = graph.run({
    features,
    count: { datatype: 'INT64', shape: [2, 1], data: BigInt64Array.of(0n, 0n) },
  });
  expect(variable && toJson(variable)).toEqual([6, 6]);
});

describe('a version', () => {
  const stored = new Map<string, Uint8Array<ArrayBuffer>>();
  const ports: RegistryPorts & Parameters<typeof check>[2] = {
    store: {
      get: async (key: string) => stored.get(key),
      put: async (key: string, bytes: Uint8Array<ArrayBuffer>) => void stored.set(key, bytes),
    },
    loadGraph,
    champion: async () => undefined,
    rollout: async () => undefined,
    measuring: { now: systemNow, pause: () => sleep(0) },
  };
  const bytesOf = (value: unknown) => Uint8Array.from(new TextEncoder().encode(JSON.stringify(value)));
  const onnx = classifierGraph();
  const bundle = async (more: object = {}): Promise<Bundle> => {
    const model = { sha256: await sha256Hex(onnx), bytes: onnx.length };
    const manifest = Manifest.parse({
      name: 'mood',
      version: await versionOf({ model }),
      model,
      inputs: [{ name: 'input', datatype: 'FP32', shape: [-1, 2], columns: ['purchases_30d', 'hour'] }],
      outputs: [
        { name: 'label', datatype: 'BYTES', shape: [-1] },
        { name: 'probabilities', datatype: 'FP32', shape: [-1, 3] },
      ],
      ...more,
    });
    const golden = {
      inputs: {
        input: [
          [-5, 0],
          [3, 4],
        ],
      },
      outputs: { label: ['low', 'high'] },
      tolerance: 1e-4,
    };
    return { manifest, golden, model: onnx };
  };

  it('is checked and measured, and its artifacts are kept', async () => {
    const { manifest, model } = await bundle();
    const measured = await check(mood, await bundle(), ports);
    expect(stored.get(`artifacts/${manifest.model.sha256}`)).toEqual(model);
    expect(measured).toMatchObject({ rows: 2, warmRuns: 25 });
    expect(measured.memoryBytes).toBeGreaterThan(0);
    expect(measured.firstTenMs).toBeGreaterThanOrEqual(0);
  });

  it('is what the database names; a copy that the database cannot confirm is not current', async () => {
    const { manifest } = await bundle();
    const named = { manifest: JSON.stringify(manifest), previous: null, revision: 3 };
    expect(await readChampion('mood', { ...ports, champion: async () => named })).toEqual({
      manifest,
      isCurrent: true,
      previous: null,
    });
    const before = { ...manifest, version: '0123456789ab' };
    const twice = async () => ({ ...named, previous: JSON.stringify(before) });
    expect(await readChampion('mood', { ...ports, champion: twice })).toMatchObject({ previous: before });
    const unreadable = async () => ({ ...named, previous: '{"form": "of another release"}' });
    expect(await readChampion('mood', { ...ports, champion: unreadable })).toMatchObject({ previous: null });
    expect(await readChampion('mood', ports)).toBeUndefined();
    const lost = { ...ports, champion: () => Promise.reject(new Error('lost')) };
    await expect(readChampion('mood', lost)).rejects.toMatchObject({ code: 'model_unavailable' });
    stored.set(championKey('mood'), bytesOf(manifest));
    expect(await readChampion('mood', lost)).toEqual({ manifest, isCurrent: false, previous: null });
    // The alias was cleared: neither the version that it named nor the copy answers.
    const cleared = async () => ({ manifest: null, previous: null, revision: 4 });
    expect(await readChampion('mood', { ...ports, champion: cleared })).toBeUndefined();
    // A version of a release that had no registry.
    expect(await readChampion('mood', ports)).toEqual({ manifest, isCurrent: true, previous: null });
    stored.set(championKey('mood'), bytesOf(null));
    expect(await readChampion('mood', lost)).toBeUndefined();
  });

  it('refuses classes in another order than the columns of the probabilities', async () => {
    const swapped = { ...mood, classes: ['low', 'medium', 'high'] };
    await expect(check(swapped, await bundle(), ports)).rejects.toMatchObject({
      code: 'invalid_model',
      message: expect.stringContaining('classes_'),
    });
  });

  it('refuses a version that does not follow from its parts, other outputs, and candidates', async () => {
    const refused = async (more: object, pointer: string) =>
      await expect(check(mood, await bundle(more), ports)).rejects.toMatchObject({
        code: 'invalid_model',
        pointer,
      });
    await refused({ version: '0'.repeat(12) }, '/manifest/version');
    await refused({ outputs: [{ name: 'label', datatype: 'INT64', shape: [-1] }] }, '/manifest/outputs');
    await refused({ fallback: { label: 'other' } }, '/manifest/version');
    const withCandidates = { ...(await bundle()), candidates: Uint8Array.of(1) };
    await expect(check(mood, withCandidates, ports)).rejects.toMatchObject({ pointer: '/candidates' });
  });

  it('reports a manifest of an earlier release', async () => {
    const old = { columns: ['a'], inputs: [{ name: 'x', datatype: 'FP32' }] };
    stored.set(championKey('old'), bytesOf(old));
    await expect(readChampion('old', ports)).rejects.toMatchObject({
      code: 'model_unavailable',
      message: expect.stringContaining('Publish the model again'),
    });
  });
});
