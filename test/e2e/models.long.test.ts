import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeBundle, writeBundleFolder } from '../../scripts/models/bundle.ts';
import { publishFolder } from '../../scripts/models/publish.ts';
import { mood } from '../support/catalog/models.ts';
import { expectedSpendBundle, moodBundle } from '../support/models/outside.ts';
import { eventually, KEY, type Stack, startStack } from '../support/node/stack.ts';

let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(async () => {
  await stack[Symbol.asyncDispose]();
});

const json = (method: string, path: string, body?: unknown) => stack.caller.ask(method, path, { json: body });

let nextId = 0;
async function send(type: string, data: object): Promise<void> {
  nextId += 1;
  const event = { specversion: '1.0', id: `models-${nextId}`, source: '/models', type, data };
  expect(await stack.caller.send([event], { wait: true })).toMatchObject({ accepted: 1 });
}

async function buy(customerId: string): Promise<void> {
  const what = { invoice: '1', sku: '10001A', description: 'A', quantity: 1, unitPrice: 2 };
  await send('shop.purchase.v1', { ...what, customerId, country: 'UK' });
}

const spendOf = (customer: string) => json('GET', `/v1/customers/${customer}/expected-spend`);

describe('a regression', () => {
  it('answers only after a version is published', async () => {
    expect(await spendOf('ada')).toMatchObject({ status: 503, json: { code: 'model_unavailable' } });
    const published = await json(
      'PUT',
      '/v1/admin/models/expected-spend/champion',
      await expectedSpendBundle(),
    );
    expect(published).toMatchObject({ status: 201, json: { name: 'expected-spend' } });
    const answer = await eventually(
      () => spendOf('ada'),
      ({ status }) => status === 200,
    );
    // No event has counted: 2·0 + 3·100 − 1 + 1, all from the declared defaults.
    expect(answer.json).toMatchObject({
      key: 'ada',
      value: 300,
      doubled: 600,
      source: 'model',
      model: { name: 'expected-spend', version: published.json['version'] },
    });
  });

  it('changes with an event of its entity, while the others stay hits', async () => {
    await spendOf('ada');
    await spendOf('bob');
    expect((await spendOf('bob')).cache).toContain('; hit');
    await buy('ada');
    const changed = await eventually(
      () => spendOf('ada'),
      ({ json: { value } }) => value !== 300,
    );
    // 2·1 + 3·(days since, close to 0) + 1 + 1
    expect(changed.json['value']).toBeCloseTo(4, 1);
    expect((await spendOf('ada')).cache).toContain('; hit');
    const bob = await spendOf('bob');
    expect(bob.cache).toContain('; hit');
    expect(bob.json['value']).toBe(300);
  });

  it('changes with no event that only changes a feature which the model does not use', async () => {
    const strong = { headers: { 'millrace-consistency': 'strong' } };
    const spend = async () => await stack.caller.ask('GET', '/v1/customers/lou/expected-spend', strong);
    const views = async () => {
      const asked = { entity: 'customer', keys: ['lou'], features: ['product_views_7d'] };
      const { json: read } = await stack.caller.ask('POST', '/v1/features/read', { json: asked, ...strong });
      return read['results'];
    };
    const seen = (value: number) => [{ features: { product_views_7d: { value } } }];
    await buy('lou');
    const { json: bought } = await spend();
    expect(await views()).toMatchObject(seen(0));
    expect((await spend()).cache).toContain('; hit');
    await send('shop.product-view.v2', { sku: '10001A', customerId: 'lou', device: 'phone' });
    // The event is folded and invalidated, and readers of that feature see it.
    expect(await views()).toMatchObject(seen(1));
    const after = await spend();
    expect([after.cache, after.json]).toEqual([expect.stringContaining('; hit'), bought]);
    await buy('lou');
    const changed = await spend();
    expect(changed.cache).not.toContain('; hit');
    expect(changed.json['doubled']).not.toBe(bought['doubled']);
  });

  it('answers a POST by key, leaves lineage, and runs raw tensors of both types', async () => {
    const byKey = await json('POST', '/v1/predictions/expected-spend', { key: 'bob' });
    expect(byKey).toMatchObject({ status: 200, json: { key: 'bob', value: 300 } });
    const lineage = await eventually(
      () => json('GET', `/v1/lineage/prediction/${byKey.json['predictionId']}`),
      ({ status }) => status === 200,
    );
    expect(JSON.stringify(lineage.json)).toContain('expected-spend');
    const raw = await json('POST', '/v1/predictions/expected-spend', {
      inputs: [
        { name: 'count', datatype: 'INT64', shape: [1, 1], data: ['7'] },
        { name: 'features', datatype: 'FP32', shape: [1, 2], data: [1, 0] },
      ],
    });
    expect(raw.json['outputs']).toEqual([
      { name: 'variable', datatype: 'FP32', shape: [1, 1], data: [10] },
      { name: 'doubled', datatype: 'FP32', shape: [1, 1], data: [20] },
    ]);
  });

  it('shows on request the features, their times, and the exact contribution of each', async () => {
    const include = ['features', 'contributions'];
    const { status, json: made } = await json('POST', '/v1/predictions/expected-spend', {
      key: 'ada',
      include,
    });
    expect(status).toBe(200);
    expect(made).toMatchObject({
      features: {
        purchases_30d: {
          value: 1,
          status: 'PRESENT',
          eventAt: expect.any(Number),
          ageMs: expect.any(Number),
        },
        purchases_365d: { value: 1, status: 'PRESENT' },
      },
      freshness: { asOf: expect.any(Number), newestEventAt: expect.any(Number) },
      explanation: { status: 'exact', output: 'value', baseline: 300, score: made['value'] },
    });
    const { contributions } = made['explanation'] as {
      contributions: { column: string; contribution: number }[];
    };
    const by = new Map(contributions.map(({ column, contribution }) => [column, contribution]));
    // value = 2·purchases_30d + 3·days_since + purchases_365d + 1, with the defaults 0, 100 and −1.
    expect(by.get('purchases_30d')).toBeCloseTo(2, 4);
    expect(by.get('days_since')).toBeCloseTo(-300, 1);
    expect(by.get('purchases_365d')).toBeCloseTo(2, 4);
    // Nothing is shown that was not asked for.
    const plain = await json('POST', '/v1/predictions/expected-spend', { key: 'ada' });
    for (const part of ['features', 'freshness', 'explanation']) expect(plain.json).not.toHaveProperty(part);
  });

  it('keeps an answer with parts under a key of its own, which the same events invalidate', async () => {
    const path = '/v1/customers/eve/expected-spend';
    const include = '?include=features,contributions';
    const first = await json('GET', path + include);
    expect(first.json).toMatchObject({ value: 300, explanation: { status: 'exact', contributions: [] } });
    expect((await json('GET', path)).json).not.toHaveProperty('explanation');
    // The relay repeats what a publication has invalidated, and may do so after the first answer.
    await eventually(
      () => json('GET', path + include),
      ({ cache }) => cache.includes('; hit'),
    );
    await buy('eve');
    const changed = await eventually(
      () => json('GET', path + include),
      ({ json: { value } }) => value !== 300,
    );
    expect(changed.json).toMatchObject({
      features: { purchases_30d: { value: 1 } },
      explanation: { baseline: 300 },
    });
    expect(await json('GET', `${path}?include=contributions,features`)).toMatchObject({ status: 400 });
  });

  it('shows values of an entity to those alone who may read them', async () => {
    const made = await json('POST', '/v1/admin/keys', {
      ...{ name: 'model', scopes: ['predictions:run'], claims: { customer: 'ada' } },
    });
    const asModel = async (path: string, body?: object) => {
      const caller = stack.caller.as(String(made.json['key']));
      const { status, json } = await caller.ask(body === undefined ? 'GET' : 'POST', path, { json: body });
      return [status, json['code']];
    };
    const path = '/v1/customers/ada/expected-spend';
    expect(await asModel(path)).toEqual([200, undefined]);
    expect(await asModel(`${path}?include=features`)).toEqual([403, 'insufficient_scope']);
    const body = { key: 'ada', include: ['contributions'] };
    expect(await asModel('/v1/predictions/expected-spend', body)).toEqual([403, 'insufficient_scope']);
  });

  it.each([
    ['a missing input', [{ name: 'count', datatype: 'INT64', shape: [1, 1], data: [7] }], '/inputs'],
    ['another type', [{ name: 'count', datatype: 'FP32', shape: [1, 1], data: [7] }], '/inputs/0/datatype'],
    ['another shape', [{ name: 'count', datatype: 'INT64', shape: [1], data: [7] }], '/inputs/0/shape'],
    ['a fraction', [{ name: 'count', datatype: 'INT64', shape: [1, 1], data: [7.5] }], '/inputs/0/data/0'],
    ['an unknown name', [{ name: 'counts', datatype: 'INT64', shape: [1, 1], data: [7] }], '/inputs/0/name'],
    [
      'rows that differ',
      [
        { name: 'count', datatype: 'INT64', shape: [3, 1], data: [1, 2, 3] },
        { name: 'features', datatype: 'FP32', shape: [2, 2], data: [1, 2, 3, 4] },
      ],
      '/inputs',
    ],
  ])('refuses tensors with %s', async (_, inputs, pointer) => {
    const answer = await json('POST', '/v1/predictions/expected-spend', { inputs });
    expect(answer).toMatchObject({ status: 422, json: { code: 'tensor_mismatch', pointer } });
  });

  it('can be purged by its path, and refuses a body with unknown fields', async () => {
    await spendOf('bob');
    expect(
      (await json('POST', '/v1/admin/cache/purge', { path: '/v1/customers/bob/expected-spend' })).status,
    ).toBe(200);
    await eventually(
      () => spendOf('bob'),
      ({ cache }) => !cache.includes('; hit'),
    );
    const refused = await json('POST', '/v1/predictions/expected-spend', { key: 'bob', items: ['x'] });
    expect(refused).toMatchObject({ status: 400, json: { code: 'invalid_request' } });
  });
});

describe('a classification', () => {
  it('answers with its marked fallback until a version is published', async () => {
    const answer = await json('POST', '/v1/predictions/mood', { key: 'ada', request: { hour: 9 } });
    expect(answer).toMatchObject({
      status: 200,
      json: { label: 'medium', source: 'fallback', degraded: 'model_unavailable', model: { version: null } },
    });
  });

  it('reads the request, and returns the label and the probabilities', async () => {
    expect((await json('PUT', '/v1/admin/models/mood/champion', await moodBundle())).status).toBe(201);
    const answer = await eventually(
      () => json('POST', '/v1/predictions/mood', { key: 'cleo', request: { hour: 20 } }),
      ({ json: { source } }) => source === 'model',
    );
    expect(answer.json).toMatchObject({ label: 'high', probabilities: { high: expect.any(Number) } });
    const quiet = await json('POST', '/v1/predictions/mood', { key: 'cleo', request: { hour: 0 } });
    expect(quiet.json['label']).toBe('medium');
    const wrong = await json('POST', '/v1/predictions/mood', { key: 'cleo', request: { hour: 24 } });
    expect(wrong).toMatchObject({ status: 400, json: { pointer: '/request/hour' } });
    const missing = await json('POST', '/v1/predictions/mood', { key: 'cleo' });
    expect(missing).toMatchObject({ status: 400, json: { code: 'invalid_request' } });
  });
});

it('a classifier of scikit-learn is made a bundle, published by the command, and answers', async () => {
  const file = (name: string) =>
    readFileSync(join(import.meta.dirname, '../support/onnx/scikit-learn', name));
  const { body, columnSource } = await makeBundle(mood, {
    onnx: Uint8Array.from(file('mood.onnx')),
    golden: JSON.parse(file('mood.golden.json').toString('utf8')),
  });
  expect(columnSource).toBe('metadata');
  const folder = mkdtempSync(join(tmpdir(), 'millrace-mood-'));
  try {
    await writeBundleFolder(folder, body);
    const url = stack.url.origin;
    const { version } = await publishFolder(folder, { url, key: KEY }, 'mood');
    const answer = await eventually(
      () => json('POST', '/v1/predictions/mood', { key: 'cleo', request: { hour: 0 } }),
      ({ json: { model } }) => Reflect.get(Object(model), 'version') === version,
    );
    expect(answer.json).toMatchObject({ label: 'low', source: 'model' });
    const probabilities = answer.json['probabilities'] as Record<string, number>;
    expect(Object.values(probabilities).reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 4);
    expect(probabilities['low']).toBe(Math.max(...Object.values(probabilities)));
    await expect(publishFolder(folder, { url, key: 'wrong' })).rejects.toThrow('refuses this key');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

describe('a published bundle', () => {
  it('is refused with the difference if it does not fit the declaration', async () => {
    const bundle = await expectedSpendBundle();
    const [features, count] = bundle.manifest.inputs;
    const other = {
      ...bundle,
      manifest: { ...bundle.manifest, inputs: [{ ...features, columns: ['purchases_30d', 'spend'] }, count] },
    };
    expect(await json('PUT', '/v1/admin/models/expected-spend/champion', other)).toMatchObject({
      status: 422,
      json: {
        code: 'invalid_model',
        pointer: '/manifest/inputs/0/columns',
        detail:
          'The columns are not those that the catalog declares: missing are days_since; not declared are spend.',
      },
    });
    const wrong = { ...bundle, golden: { ...bundle.golden, outputs: { doubled: [[22], [63]] } } };
    expect(await json('PUT', '/v1/admin/models/expected-spend/champion', wrong)).toMatchObject({
      status: 422,
      json: { pointer: '/golden/outputs/doubled' },
    });
    const unknown = await json('PUT', '/v1/admin/models/oracle/champion', bundle);
    expect(unknown).toMatchObject({
      status: 404,
      json: { detail: expect.stringContaining('expected-spend') },
    });
    expect((await spendOf('bob')).json['value']).toBe(300);
  });

  it('is described in OpenAPI, with the input and output of each model', async () => {
    const { json: document } = await json('GET', '/openapi.json');
    const components = Reflect.get(document['components'] as object, 'schemas') as Record<string, object>;
    expect(Object.keys(components)).toEqual(
      expect.arrayContaining([
        'ModelBundle',
        'TensorRequest',
        'TensorAnswer',
        'ranker.Ranking',
        'expected-spend.PredictionRequest',
        'expected-spend.Prediction',
        'mood.PredictionRequest',
      ]),
    );
    expect(components['mood.PredictionRequest']).toMatchObject({ required: ['key', 'request'] });
    expect(components['expected-spend.Prediction']).toMatchObject({
      properties: { value: { type: 'number' }, doubled: { type: 'number' } },
    });
    const paths = Object.keys(document['paths'] as object);
    expect(paths).toEqual(
      expect.arrayContaining(['/v1/predictions/mood', '/v1/customers/{id}/expected-spend']),
    );
  });
});
