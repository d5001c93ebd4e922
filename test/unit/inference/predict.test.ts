import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { model, type PredictionModel } from '../../../src/define/model.ts';
import { fromRequest } from '../../../src/define/model-input.ts';
import { groupOf } from '../../../src/features/groups.ts';
import type { Tensor, Tensors } from '../../../src/inference/tensors.ts';
import { Failure } from '../../../src/platform/failure.ts';
import { purchases } from '../../support/catalog/features.ts';
import {
  DAY_MS,
  described,
  float,
  inputs,
  MANIFEST,
  NOW,
  predicted,
  present,
  regression,
} from '../../support/models/predicting.ts';

/** Of an answer of the regression for ada: the customer, the group that its features are in, each of them, the model. */
const TAGS = [
  'features:customer:ada',
  `features:customer:${groupOf(purchases)}:ada`,
  'features-ready:customer:purchases',
  'features-ready:customer:last_purchase_at',
  'model:m',
];

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
    expect(tags).toEqual(TAGS);
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
    expect([tags, storable]).toEqual([TAGS, true]);
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
