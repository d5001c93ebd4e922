import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import type { FeatureValue } from '../../../src/define/feature-value.ts';
import { model, type PredictionModel } from '../../../src/define/model.ts';
import { fromFeature, fromRequest } from '../../../src/define/model-input.ts';
import type { FeatureRow } from '../../../src/features/shards.ts';
import { ArtifactLost } from '../../../src/inference/broken.ts';
import type { Manifest } from '../../../src/inference/bundle.ts';
import type { Included } from '../../../src/inference/explain/include.ts';
import type { ObservedRow } from '../../../src/inference/observed-rows.ts';
import { type PredictPorts, predict } from '../../../src/inference/predict.ts';
import type { Tensor, TensorSignature, Tensors } from '../../../src/inference/tensors.ts';
import type { LineageFacts } from '../../../src/pipeline/lineage/recorder.ts';
import { DeadlinePassed } from '../../../src/platform/deadline.ts';
import { Failure } from '../../../src/platform/failure.ts';
import { customer } from '../../support/catalog/entities.ts';
import { lastPurchase, purchases } from '../../support/catalog/features.ts';

const NOW = Date.UTC(2026, 10, 28, 12);
const DAY_MS = 86_400_000;

const inputs = {
  features: {
    columns: {
      bought: fromFeature(purchases.window(30), { default: -1 }),
      age: fromFeature(lastPurchase.ageDays(), { default: 999 }),
    },
  },
} as const;
const described = { name: 'm', description: 'A model.', entity: customer };
const regression = model.regression({ ...described, inputs, outputs: { value: 'v' } });

const MANIFEST: Manifest = {
  name: 'm',
  version: '0123456789ab',
  model: { sha256: '0'.repeat(64), bytes: 1 },
  inputs: [{ name: 'features', datatype: 'FP32', shape: [-1, 2] }],
  outputs: [{ name: 'v', datatype: 'FP32', shape: [-1, 1] }],
  metrics: {},
  baseline: {},
  trainedFrom: {},
};
const float = (...values: number[]): Tensor => ({
  datatype: 'FP32',
  shape: [1, values.length],
  data: Float32Array.from(values),
});
const present = (value: number | null): FeatureValue => ({ value, status: 'PRESENT', eventAt: NOW });

interface World {
  readonly manifest?: Manifest | null | Failure;
  readonly features?: FeatureRow | Error;
  readonly graphInputs?: readonly TensorSignature[];
  readonly run?: (given: Tensors) => Tensors;
  readonly load?: PredictPorts['load'];
  /** Whether the deadline passes before the work ends. */
  readonly isLate?: boolean;
  readonly isCurrent?: boolean;
  /** The version before the champion, and what it answers if it is in memory. */
  readonly previous?: Manifest;
  readonly previousRun?: (given: Tensors) => Tensors;
}

async function predicted(
  definition: PredictionModel,
  {
    manifest = MANIFEST,
    features = {},
    graphInputs = MANIFEST.inputs,
    run,
    load,
    isLate = false,
    isCurrent = true,
    previous,
    previousRun,
  }: World,
  request: Readonly<Record<string, unknown>> = {},
  include: readonly Included[] = [],
) {
  const told: LineageFacts[] = [];
  const watched: ({ version: string } & ObservedRow)[] = [];
  const calls = { champion: 0, shards: 0, load: 0 };
  const kept: Promise<unknown>[] = [];
  const graph = {
    inputs: graphInputs,
    outputs: [],
    run: async (given: Tensors) => run?.(given) ?? { v: float(1) },
  };
  const answer = await predict(
    definition,
    { key: 'ada', request, pointerPrefix: '/request/', include },
    {
      champion: async () => {
        calls.champion += 1;
        if (manifest instanceof Failure) throw manifest;
        return manifest === null ? null : { manifest, isCurrent, previous: previous ?? null };
      },
      load: async (of) => {
        calls.load += 1;
        return (await load?.(of)) ?? { manifest: of, graph, candidates: undefined };
      },
      loaded: (of) => {
        if (of !== previous || previousRun === undefined) return undefined;
        const ran = { ...graph, run: async (given: Tensors) => previousRun(given) };
        return { manifest: of, graph: ran, candidates: undefined };
      },
      shards: {
        read: async () => {
          calls.shards += 1;
          if (features instanceof Error) throw features;
          return [features];
        },
      },
      now: () => NOW,
      newId: () => 'id-1',
      predicted: (facts) => told.push(facts),
      watched: (_, version, row) => watched.push({ version, ...row() }),
      deadline: {
        within: async (work) => {
          if (!isLate) return await work;
          // Whatever does not hang has been read by then.
          await new Promise((resolve) => setImmediate(resolve));
          throw new DeadlinePassed('The time has passed.');
        },
      },
      keepAlive: (work) => kept.push(work),
      explaining: { charge: async () => undefined, pause: async () => undefined },
    },
  );
  return { ...answer, told, watched, kept, calls };
}

describe('the row', () => {
  it('has the features in order, with the declared defaults for missing or null values', async () => {
    const seen: unknown[] = [];
    const run = ({ features }: Tensors): Tensors => {
      seen.push(features);
      return { v: float(2) };
    };
    await predicted(regression, { run });
    await predicted(regression, {
      run,
      features: { purchases_30d: present(3), last_purchase_at: present(NOW - 2 * DAY_MS), other: present(9) },
    });
    await predicted(regression, {
      run,
      features: {
        purchases_30d: { value: 0, status: 'NOT_FOUND', eventAt: null },
        last_purchase_at: present(null),
      },
    });
    expect(seen).toEqual([float(-1, 999), float(3, 2), float(-1, 999)]);
  });

  it('is marked and not stored if the version that made it may no longer be the champion', async () => {
    const unverified = await predicted(regression, { isCurrent: false });
    expect(unverified).toMatchObject({
      ...{ storable: false, isDegraded: false },
      value: { source: 'model', degraded: 'model_unverified' },
      told: [{ prediction: { degraded: 'model_unverified' } }],
    });
    expect((await predicted(regression, {})).storable).toBe(true);
    // Why the model did not answer says more than that it may have been replaced.
    const failing = {
      isCurrent: false,
      load: () => Promise.reject(new Failure('model_unavailable', 'Gone.')),
    };
    const manifest = { ...MANIFEST, fallback: { value: 3 } };
    const shipped = model.regression({ ...described, inputs, outputs: { value: 'v' }, fallback: 'shipped' });
    expect((await predicted(shipped, { ...failing, manifest })).value).toMatchObject({
      source: 'fallback',
      degraded: 'model_unavailable',
    });
  });

  it('depends on the features and the model, and lineage records only the features that it used', async () => {
    const { value, tags, storable, told, watched } = await predicted(regression, {
      features: { purchases_30d: present(3), other: present(9) },
    });
    expect(tags).toEqual(['features:customer:ada', 'features-ready:customer', 'model:m']);
    expect(storable).toBe(true);
    expect(value).toEqual({
      key: 'ada',
      value: 1,
      model: { name: 'm', version: MANIFEST.version },
      predictionId: 'id-1',
      source: 'model',
    });
    expect(told).toMatchObject([{ prediction: { features: { purchases_30d: 3 }, source: 'model' } }]);
    expect(watched).toEqual([
      { version: MANIFEST.version, columns: ['bought', 'age', '(score)'], values: [3, 999, 1] },
    ]);
  });

  it('refuses a value that its element type cannot hold, with a pointer to the field', async () => {
    const definition = model.regression({
      ...described,
      request: { size: z.int() },
      inputs: { size: { datatype: 'INT8', columns: { size: fromRequest('size') } } },
      outputs: { value: 'v' },
      fallback: { value: 7 },
    });
    const graphInputs = [{ name: 'size', datatype: 'INT8', shape: [1] } as const];
    await expect(predicted(definition, { graphInputs }, { size: 128 })).rejects.toMatchObject({
      code: 'invalid_request',
      pointer: '/request/size',
    });
    const seen: unknown[] = [];
    const run = ({ size }: Tensors): Tensors => {
      seen.push(size);
      return { v: float(1) };
    };
    await predicted(definition, { graphInputs, run }, { size: -128 });
    expect(seen).toEqual([{ datatype: 'INT8', shape: [1], data: Int8Array.of(-128) }]);
  });
});

describe('the parts that a client asks for', () => {
  const ALL = ['features', 'contributions'] as const;
  const FEATURES = {
    purchases_30d: { ...present(3), eventAt: NOW - DAY_MS },
    last_purchase_at: present(NOW - 2 * DAY_MS),
    other: present(9),
  };
  /** The sum of each row. */
  const run = ({ features }: Tensors): Tensors => {
    const values = Array.from(features?.data ?? [], Number);
    const sums = Array.from(
      { length: values.length / 2 },
      (_, row) => (values[2 * row] ?? 0) + (values[2 * row + 1] ?? 0),
    );
    return { v: { datatype: 'FP32', shape: [sums.length, 1], data: Float32Array.from(sums) } };
  };
  const withFallback = model.regression({
    ...described,
    inputs,
    outputs: { value: 'v' },
    fallback: { value: 7 },
  });
  const fails = () => {
    throw new Error('inside of the graph');
  };

  it('are the features that the model uses, their times, and what each adds', async () => {
    const { value, tags, storable } = await predicted(regression, { features: FEATURES, run }, {}, ALL);
    expect(value).toMatchObject({
      value: 5,
      features: {
        purchases_30d: { value: 3, status: 'PRESENT', eventAt: NOW - DAY_MS, ageMs: DAY_MS },
        last_purchase_at: { value: NOW - 2 * DAY_MS, eventAt: NOW, ageMs: 0 },
      },
      freshness: { asOf: NOW, newestEventAt: NOW, oldestEventAt: NOW - DAY_MS },
      explanation: {
        ...{
          status: 'exact',
          method: 'enumeration',
          output: 'value',
          score: 5,
          baseline: 998,
          tolerance: 1e-5,
        },
        contributions: [
          {
            input: 'features',
            column: 'age',
            feature: 'last_purchase_at',
            value: 2,
            baseline: 999,
            contribution: -997,
          },
          { column: 'bought', feature: 'purchases_30d', value: 3, baseline: -1, contribution: 4 },
        ],
      },
    });
    expect(Object.keys(Object(Reflect.get(Object(value), 'features')))).toHaveLength(2);
    expect([tags, storable]).toEqual([['features:customer:ada', 'features-ready:customer', 'model:m'], true]);
    const plain = await predicted(regression, { features: FEATURES, run });
    expect(Object.keys(Object(plain.value)).filter((name) => /features|fresh|expl/.test(name))).toEqual([]);
  });

  it('are none of the fallback, which says so', async () => {
    const { value } = await predicted(withFallback, { features: FEATURES, run: fails }, {}, ALL);
    expect(value).toMatchObject({
      ...{ source: 'fallback', degraded: 'model_failed', features: null, freshness: null },
      explanation: { status: 'unavailable', reason: 'model_failed' },
    });
  });

  it('are the features of the version before, without an explanation', async () => {
    const previous = { ...MANIFEST, version: 'ba9876543210' };
    const world = {
      features: FEATURES,
      isLate: true,
      load: () => new Promise<never>(() => undefined),
      previous,
    };
    const { value } = await predicted(regression, { ...world, previousRun: run }, {}, ALL);
    expect(value).toMatchObject({
      ...{ source: 'previous', features: { purchases_30d: { value: 3 } } },
      explanation: { status: 'unavailable', reason: 'deadline_exceeded' },
    });
  });

  it('are not kept if the explanation failed, and the answer is no less right', async () => {
    let runs = 0;
    const once = (given: Tensors) => {
      runs += 1;
      return runs === 1 ? run(given) : fails();
    };
    const { value, storable, isDegraded } = await predicted(
      regression,
      { features: FEATURES, run: once },
      {},
      ALL,
    );
    expect(value).toMatchObject({ value: 5, source: 'model', explanation: { reason: 'model_failed' } });
    expect([storable, isDegraded]).toEqual([false, false]);
  });
});

describe('the fallback', () => {
  const AWAY = new Failure('model_unavailable', 'The store of the models does not answer.');
  const unavailable = async () => {
    throw new Failure('model_unavailable', 'The model cannot be loaded.');
  };
  const withFallback = model.regression({
    ...described,
    inputs,
    outputs: { value: 'v' },
    fallback: { value: 7 },
  });
  const shipped = model.regression({ ...described, inputs, outputs: { value: 'v' }, fallback: 'shipped' });

  it.each([
    ['no version is published', { manifest: null }, 'model_unavailable'],
    ['the manifest cannot be read', { manifest: AWAY }, 'model_unavailable'],
    ['the version cannot be loaded', { load: unavailable }, 'model_unavailable'],
    [
      'the graph fails',
      {
        run: () => {
          throw new Error('inside of the graph');
        },
      },
      'model_failed',
    ],
    ['the graph answers no number', { run: () => ({ v: float(Number.NaN) }) }, 'model_failed'],
    ['the graph answers two numbers', { run: () => ({ v: float(1, 2) }) }, 'model_failed'],
    ['a feature does not fit the version', { graphInputs: [] }, 'model_failed'],
  ] as const)('answers, marked and not stored, where %s', async (_, world, degraded) => {
    expect(await predicted(withFallback, world)).toMatchObject({
      value: { value: 7, source: 'fallback', degraded },
      storable: false,
    });
    await expect(predicted(regression, world)).rejects.toMatchObject({ code: 'model_unavailable' });
  });

  it('answers for features that cannot be read, with no features in its lineage', async () => {
    const features = Object.assign(new Error('Network connection lost.'), { retryable: true });
    const { told, watched, ...answer } = await predicted(withFallback, { features });
    expect(watched).toEqual([]);
    expect(answer).toMatchObject({
      value: { value: 7, source: 'fallback', degraded: 'features_unavailable' },
      storable: false,
    });
    expect(told).toMatchObject([{ prediction: { features: {}, degraded: 'features_unavailable' } }]);
    await expect(predicted(regression, { features })).rejects.toMatchObject({ code: 'features_unavailable' });
    const defect = predicted(withFallback, { features: new TypeError('a defect') });
    await expect(defect).rejects.toThrow('a defect');
  });

  it('answers after the deadline while the model is still loaded, and the load goes on', async () => {
    const loading = Promise.withResolvers<never>();
    const world = { isLate: true, load: () => loading.promise, features: { purchases_30d: present(3) } };
    const { kept, told, watched, ...answer } = await predicted(withFallback, world);
    expect(watched).toEqual([]);
    expect(answer).toMatchObject({
      value: {
        value: 7,
        source: 'fallback',
        degraded: 'deadline_exceeded',
        model: { version: MANIFEST.version },
      },
      storable: false,
    });
    expect(told).toMatchObject([
      { prediction: { features: { purchases_30d: 3 }, degraded: 'deadline_exceeded' } },
    ]);
    expect(kept).toHaveLength(1);
    loading.reject(new Error('The load failed later.'));
    await Promise.all(kept);
  });

  it('answers after the deadline with what the version ships, if its manifest has been read', async () => {
    const late = { isLate: true, load: () => new Promise<never>(() => undefined) };
    const manifest = { ...MANIFEST, fallback: { value: 3.5 } };
    expect(await predicted(shipped, { ...late, manifest })).toMatchObject({
      value: { value: 3.5, degraded: 'deadline_exceeded' },
    });
  });

  it('is not waited for after the deadline if there is none: the work is', async () => {
    const { value } = await predicted(regression, { isLate: true });
    expect(value).toMatchObject({ value: 1, source: 'model' });
  });

  it('gives way to the version before, if that is in memory and the features are known', async () => {
    const previous = { ...MANIFEST, version: 'ba9876543210' };
    const seen: unknown[] = [];
    const previousRun = ({ features }: Tensors): Tensors => {
      seen.push(features);
      return { v: float(5) };
    };
    const features = { purchases_30d: present(3), last_purchase_at: present(NOW) };
    const hanging = { isLate: true, load: () => new Promise<never>(() => undefined) };
    for (const [world, degraded] of [
      [hanging, 'deadline_exceeded'],
      [{ load: unavailable }, 'model_unavailable'],
    ] as const) {
      const { value, storable, told } = await predicted(withFallback, {
        ...{ ...world, features, previous, previousRun },
      });
      expect(value).toMatchObject({ value: 5, source: 'previous', degraded });
      expect(value).toMatchObject({ model: { version: previous.version } });
      expect(storable).toBe(false);
      expect(told).toMatchObject([{ prediction: { version: previous.version, source: 'previous' } }]);
    }
    expect(seen).toEqual([float(3, 0), float(3, 0)]);
    const lost = new Failure('model_unavailable', 'gone', { cause: new ArtifactLost('gone') });
    const load = async (of: Manifest) => {
      if (of !== previous) throw lost;
      const graph = { inputs: of.inputs, outputs: [], run: async (given: Tensors) => previousRun(given) };
      return { manifest: of, graph, candidates: undefined };
    };
    // It is loaded, since the store answers and has only lost the champion.
    const without = await predicted(withFallback, { load, features, previous });
    expect(without.value).toMatchObject({ value: 5, source: 'previous', degraded: 'model_unavailable' });
    const notLoaded = await predicted(withFallback, { ...hanging, features, previous });
    expect(notLoaded.value).toMatchObject({ value: 7, source: 'fallback' });
    const failing = () => {
      throw new Error('inside of the version before');
    };
    expect(
      (await predicted(withFallback, { ...hanging, previous, previousRun: failing })).value,
    ).toMatchObject({ value: 7, source: 'fallback' });
    const away = new Failure('features_unavailable', 'away');
    expect((await predicted(withFallback, { features: away, previous, previousRun })).value).toMatchObject({
      value: 7,
      source: 'fallback',
      degraded: 'features_unavailable',
    });
  });

  it('gives way to the version before, which is loaded if the graph of the champion fails', async () => {
    const previous = { ...MANIFEST, version: 'ba9876543210' };
    const load: PredictPorts['load'] = async (manifest) => {
      const run = async (): Promise<Tensors> => {
        if (manifest === MANIFEST) throw new Error('inside of the graph');
        return { v: float(6) };
      };
      return { manifest, graph: { inputs: MANIFEST.inputs, outputs: [], run }, candidates: undefined };
    };
    const { value, calls } = await predicted(regression, { load, previous });
    expect(value).toMatchObject({ value: 6, source: 'previous', degraded: 'model_failed' });
    expect(calls).toEqual({ champion: 1, shards: 1, load: 2 });
  });

  it('costs no call more than the answer that it replaces, where it is not the version before that is loaded', async () => {
    const away = new Failure('features_unavailable', 'away');
    const usual = { champion: 1, shards: 1 };
    expect((await predicted(withFallback, {})).calls).toEqual({ ...usual, load: 1 });
    expect((await predicted(withFallback, { features: away })).calls).toEqual({ ...usual, load: 0 });
    expect((await predicted(withFallback, { manifest: AWAY })).calls).toEqual({ ...usual, load: 0 });
    expect((await predicted(withFallback, { load: unavailable })).calls).toEqual({ ...usual, load: 1 });
  });

  it('may be shipped with the version', async () => {
    const manifest = { ...MANIFEST, fallback: { value: 3.5 } };
    expect(await predicted(shipped, { manifest, load: unavailable })).toMatchObject({
      value: { value: 3.5 },
    });
    for (const unknown of [null, AWAY])
      await expect(predicted(shipped, { manifest: unknown })).rejects.toMatchObject({
        code: 'model_unavailable',
      });
  });
});

describe('a classification', () => {
  const classify = (
    outputs: { label?: string; probabilities?: string; scores?: string },
    classes: (string | number)[],
  ) => model.classification({ ...described, inputs, classes, outputs });
  const answered = async (definition: PredictionModel, outputs: Tensors) =>
    (await predicted(definition, { run: () => outputs })).value;

  it('accepts an integer label, and returns probabilities by class', async () => {
    const label: Tensor = { datatype: 'INT64', shape: [1], data: BigInt64Array.of(1n) };
    expect(
      await answered(classify({ label: 'l', probabilities: 'p' }, [0, 1]), {
        l: label,
        p: float(0.25, 0.75),
      }),
    ).toMatchObject({
      label: 1,
      probabilities: { 0: 0.25, 1: 0.75 },
    });
  });

  it('takes the class with the greatest probability or score if the graph returns no label', async () => {
    expect(await answered(classify({ scores: 's' }, ['a', 'b', 'c']), { s: float(-1, 5, 2) })).toMatchObject({
      label: 'b',
      scores: { a: -1, b: 5, c: 2 },
    });
    expect(await answered(classify({ probabilities: 'p' }, ['no', 'yes']), { p: float(0.75) })).toMatchObject(
      {
        label: 'yes',
        probabilities: { no: 0.25, yes: 0.75 },
      },
    );
  });

  it('fails if the graph returns a class that is not declared', async () => {
    const label: Tensor = { datatype: 'BYTES', shape: [1], data: ['x'] };
    await expect(answered(classify({ label: 'l' }, ['a', 'b']), { l: label })).rejects.toMatchObject({
      code: 'model_unavailable',
    });
  });
});
