import { describe, expect, it } from 'vitest';
import { model } from '../../../src/define/model.ts';
import { ArtifactLost } from '../../../src/inference/broken.ts';
import type { Manifest } from '../../../src/inference/bundle.ts';
import { RuntimeSwitchedOff } from '../../../src/inference/phase.ts';
import type { PredictPorts } from '../../../src/inference/predict.ts';
import type { Tensors } from '../../../src/inference/tensors.ts';
import { Failure } from '../../../src/platform/failure.ts';
import {
  described,
  float,
  inputs,
  MANIFEST,
  NOW,
  predicted,
  present,
  regression,
} from '../../support/models/predicting.ts';

const withFallback = model.regression({
  ...described,
  inputs,
  outputs: { value: 'v' },
  fallback: { value: 7 },
});

describe('the fallback', () => {
  const AWAY = new Failure('model_unavailable', 'The store of the models does not answer.');
  const unavailable = async () => {
    throw new Failure('model_unavailable', 'The model cannot be loaded.');
  };
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
    expect(calls).toEqual({ champion: 1, features: 1, load: 2 });
  });

  it('costs no call more than the answer that it replaces, where it is not the version before that is loaded', async () => {
    const away = new Failure('features_unavailable', 'away');
    const usual = { champion: 1, features: 1 };
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

describe('while the phase is off', () => {
  it('the fallback answers, marked, and neither features nor a model are read', async () => {
    const answer = await predicted(withFallback, { isOff: true });
    expect(answer).toMatchObject({
      ...{ storable: false, isDegraded: false, calls: { champion: 1, features: 0, load: 0 } },
      value: { value: 7, source: 'fallback', degraded: 'phase_off' },
    });
  });

  it('no version before answers, not even after the deadline', async () => {
    const previous = { ...MANIFEST, version: 'ba9876543210' };
    const world = { isOff: true, previous, previousRun: () => ({ v: float(6) }) };
    for (const isLate of [false, true])
      expect((await predicted(withFallback, { ...world, isLate })).value).toMatchObject({
        ...{ value: 7, source: 'fallback', degraded: 'phase_off' },
      });
  });

  it('a model without a fallback fails with the reason', async () => {
    await expect(predicted(regression, { isOff: true })).rejects.toMatchObject({ code: 'phase_off' });
  });
});

describe('while the phase is degraded', () => {
  it('the fallback answers for a version that only the runtime computes, and no stale answer does', async () => {
    const load = () => Promise.reject(new RuntimeSwitchedOff());
    expect(await predicted(withFallback, { load })).toMatchObject({
      ...{ storable: false, isDegraded: false },
      value: { value: 7, source: 'fallback', degraded: 'phase_degraded' },
    });
    const run = () => {
      throw new RuntimeSwitchedOff();
    };
    expect((await predicted(withFallback, { run })).value).toMatchObject({ degraded: 'phase_degraded' });
  });
});
