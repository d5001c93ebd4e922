import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { expectedSpendBundle } from '../support/models/outside.ts';
import { rankerBundle } from '../support/models/ranker.ts';
import { KEY, type Stack } from '../support/node/stack.ts';
import type { Client } from '../support/peers/client.ts';
import { startTroubled } from '../support/peers/troubled.ts';

/**
 * Longer than whatever answers takes, in milliseconds. A peer that hangs may be given up before, so that a failure of the
 * peer is the reason of the answer.
 */
const DEADLINE = { 'millrace-deadline-ms': '1500' };
const STRONG = { 'millrace-consistency': 'strong' };
const SPEND = '/v1/customers/C1/expected-spend';
const RANKING = '/v1/customers/C1/recommendations';

let stack: Stack;
let client: Client;
beforeAll(async () => {
  ({ stack, client } = await startTroubled());
  await client.prepare('publisher', ['PUT', '/v1/admin/models/ranker/champion', rankerBundle()]);
});
afterEach(async () => await client.trouble({}));
afterAll(async () => await stack[Symbol.asyncDispose]());

type Asked = readonly [
  method: string,
  path: string,
  body?: unknown,
  headers?: Readonly<Record<string, string>>,
];

async function ask(isolate: string, [method, path, body, more]: Asked) {
  const headers = { isolate, authorization: `Bearer ${KEY}`, 'content-type': 'application/json', ...more };
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  const response = await stack.fetch(path, { method, headers, ...sent });
  return {
    status: response.status,
    header: response.headers.get('millrace-degraded'),
    cache: response.headers.get('cache-status'),
    etag: response.headers.get('etag'),
    body: (await response.json()) as Record<string, unknown>,
  };
}

/** Invalidates the answers of the customer, and lets the isolate hear of it. */
async function invalidate(isolate: string): Promise<void> {
  await client.prepare(isolate, ['POST', '/v1/admin/cache/purge', { tags: ['features:customer:C1'] }]);
  await client.prepare(isolate, ['GET', '/v1/customers?country=None', undefined, STRONG]);
}

it('a stale answer of the path stands in while the features hang, and is not kept as a fresh one', async () => {
  const isolate = 'stale';
  const fresh = await ask(isolate, ['GET', SPEND, undefined, STRONG]);
  expect(fresh).toMatchObject({ status: 200, header: null, body: { source: 'model' } });
  await invalidate(isolate);
  await client.trouble({ 'feature-shard': 'hang' });
  const stale = {
    status: 200,
    header: 'stale; reason=deadline_exceeded',
    body: { ...fresh.body, source: 'stale', degraded: 'deadline_exceeded' },
  };
  const answered = await ask(isolate, ['GET', SPEND, undefined, DEADLINE]);
  expect(answered).toMatchObject(stale);
  expect(answered.cache).toContain('detail=origin-unavailable');
  expect(answered.etag).not.toBe(fresh.etag);
  expect(await ask(isolate, ['GET', SPEND, undefined, DEADLINE])).toMatchObject(stale);
  await client.trouble({});
  expect(await ask(isolate, ['GET', SPEND, undefined, STRONG])).toMatchObject({
    ...{ status: 200, header: null, body: { source: 'model' } },
  });
});

it('popularity ranks while the features hang or fail, unless those in memory are current', async () => {
  const isolate = 'popularity';
  const request = { key: 'C1', items: ['OTHER-1', '10001A'] };
  const byModel = { status: 200, header: null, body: { source: 'model' } };
  expect(await ask(isolate, ['POST', '/v1/predictions/ranker', request])).toMatchObject(byModel);
  await client.trouble({ 'feature-shard': 'hang' });
  expect(await ask(isolate, ['POST', '/v1/predictions/ranker', request, DEADLINE])).toMatchObject(byModel);
  await client.trouble({});
  await invalidate(isolate);
  for (const [trouble, reason] of [
    ['hang', '(deadline_exceeded|features_unavailable)'],
    ['fail', 'features_unavailable'],
  ] as const) {
    await client.trouble({ 'feature-shard': trouble });
    const expected = { status: 200, header: expect.stringMatching(`^popularity; reason=${reason}$`) };
    expect(await ask(isolate, ['POST', '/v1/predictions/ranker', request, DEADLINE])).toMatchObject({
      ...expected,
      body: {
        ...{ source: 'popularity', degraded: expect.stringMatching(reason) },
        items: [
          { item: '10001A', score: 40 },
          { item: 'OTHER-1', score: 20 },
        ],
      },
    });
    const ranked = await ask(isolate, ['GET', `${RANKING}?limit=2`, undefined, DEADLINE]);
    expect(ranked).toMatchObject({
      ...expected,
      body: { source: 'popularity', degraded: expect.stringMatching(reason) },
    });
    expect(ranked.cache).not.toContain('stored');
  }
});

it('the version before answers while the new one cannot be read from R2', async () => {
  const isolate = 'previous';
  const predict: Asked = ['POST', '/v1/predictions/expected-spend', { key: 'C2' }, STRONG];
  const before = await ask(isolate, predict);
  expect(before).toMatchObject({ status: 200, header: null, body: { source: 'model' } });
  const bundle = await expectedSpendBundle({ fallback: { value: 1, doubled: 2 } });
  await client.prepare('publisher', ['PUT', '/v1/admin/models/expected-spend/champion', bundle]);
  await client.trouble({ artifacts: 'hang' });
  const [method, path, body] = predict;
  const late = await ask(isolate, [method, path, body, { ...STRONG, ...DEADLINE }]);
  expect(late).toMatchObject({
    status: 200,
    header: expect.stringMatching(/^previous; reason=(deadline_exceeded|model_unavailable)$/),
    body: { value: before.body['value'], model: before.body['model'], source: 'previous' },
  });
});

it('an isolate that has just begun answers with the fallback while R2 hangs', async () => {
  await client.trouble({ artifacts: 'hang' });
  const request = { key: 'C1', request: { hour: 1 } };
  expect(await ask('cold', ['POST', '/v1/predictions/mood', request, DEADLINE])).toMatchObject({
    ...{ status: 200, body: { label: 'medium', source: 'fallback' } },
    header: expect.stringMatching(/^fallback; reason=(deadline_exceeded|model_unavailable)$/),
  });
});

const UNVERIFIED = {
  status: 200,
  header: 'model; reason=model_unverified',
  body: { source: 'model', degraded: 'model_unverified' },
};
const SLOW = { 'millrace-deadline-ms': '10000' };
const MOOD = { key: 'C1', request: { hour: 1 } };

it('while the database hangs, the champion is marked unless the clock says that it is current', async () => {
  const isolate = 'without a database';
  const predict: Asked = ['POST', '/v1/predictions/mood', MOOD, SLOW];
  expect(await ask(isolate, predict)).toMatchObject({ status: 200, header: null });
  await client.trouble({ database: 'hang' });
  expect(await ask(isolate, predict)).toMatchObject({ header: null, body: { source: 'model' } });
  await client.trouble({});
  await client.prepare(isolate, ['POST', '/v1/admin/cache/purge', { tags: ['model:mood'] }]);
  await client.prepare(isolate, ['GET', '/v1/customers?country=None', undefined, STRONG]);
  await client.trouble({ database: 'hang' });
  expect(await ask(isolate, predict)).toMatchObject(UNVERIFIED);
});

it('the last known champion answers while the clock hangs, marked as one that may have been replaced', async () => {
  const isolate = 'without a clock';
  const predict: Asked = ['POST', '/v1/predictions/expected-spend', { key: 'C3' }, SLOW];
  const rank: Asked = ['GET', '/v1/customers/C3/recommendations?limit=1', undefined, SLOW];
  const metadata = await stack.fetch('/v2/models/expected-spend', {
    headers: { isolate, authorization: `Bearer ${KEY}` },
  });
  const { inputs } = (await metadata.json()) as {
    inputs: { name: string; datatype: string; shape: number[] }[];
  };
  const tensors = inputs.map(({ name, datatype, shape }) => {
    const ofOne = shape.map((size) => Math.max(size, 1));
    return {
      name,
      datatype,
      shape: ofOne,
      data: Array.from({ length: ofOne.reduce((a, b) => a * b, 1) }, () => 1),
    };
  });
  const infer: Asked = ['POST', '/v2/models/expected-spend/infer', { inputs: tensors }, SLOW];
  const raw: Asked = ['POST', '/v1/predictions/expected-spend', { inputs: tensors }, SLOW];
  const all = [predict, rank, infer, raw];
  for (const asked of all) expect(await ask(isolate, asked)).toMatchObject({ status: 200, header: null });
  await client.trouble({ 'regional-clock': 'hang', 'root-clock': 'hang' });
  // The mirror may be as old as a bounded reader's bound, and until then says that the champion is current.
  await vi.waitFor(async () => expect(await ask(isolate, predict)).toMatchObject(UNVERIFIED), {
    timeout: 20_000,
  });
  // The customer has bought nothing, so the model has nothing to rank by.
  expect(await ask(isolate, rank)).toMatchObject({
    header: 'popularity; reason=model_unverified',
    body: { degraded: 'model_unverified' },
  });
  for (const asked of [infer, raw]) {
    const { status, header } = await ask(isolate, asked);
    expect({ status, header }).toEqual({ status: 200, header: UNVERIFIED.header });
  }
  await client.trouble({});
  await vi.waitFor(async () => expect(await ask(isolate, predict)).toMatchObject({ header: null }), {
    timeout: 20_000,
  });
});
