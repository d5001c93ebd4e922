import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectedSpendBundle } from '../support/models/outside.ts';
import { eventually, KEY, type Stack, startStack } from '../support/node/stack.ts';

const AUTHORIZED = { authorization: `Bearer ${KEY}` };
const MODEL = '/v2/models/expected-spend';

let stack: Stack;
let version: string;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(async () => {
  await stack[Symbol.asyncDispose]();
});

async function call(path: string, init: { method?: string; headers?: object; body?: BodyInit } = {}) {
  const response = await stack.fetch(path, {
    ...init,
    headers: { ...AUTHORIZED, ...init.headers },
  });
  const bytes = new Uint8Array(await response.arrayBuffer());
  const jsonBytes = Number(response.headers.get('inference-header-content-length') ?? bytes.length);
  const json: Record<string, unknown> = JSON.parse(
    new TextDecoder().decode(bytes.subarray(0, jsonBytes)) || '{}',
  );
  return { status: response.status, headers: response.headers, json, binary: bytes.subarray(jsonBytes) };
}

const inputs = [
  { name: 'features', datatype: 'FP32', shape: [2, 2], data: [1, 1, 0, 10] },
  { name: 'count', datatype: 'INT64', shape: [2, 1], data: [[5], [0]] },
];
const infer = (body: unknown, path = `${MODEL}/infer`) =>
  call(path, { method: 'POST', body: JSON.stringify(body) });

describe('before a version is published', () => {
  it('the server is live, and the model is not ready', async () => {
    expect(await call('/v2/health/live')).toMatchObject({ status: 200, json: { live: true } });
    expect(await call('/v2/health/ready')).toMatchObject({ status: 200, json: { ready: true } });
    expect(await call('/v2')).toMatchObject({
      status: 200,
      json: { name: 'millrace', extensions: ['binary_tensor_data'] },
    });
    for (const path of [MODEL, `${MODEL}/ready`])
      expect(await call(path)).toMatchObject({
        status: 503,
        json: { error: 'No version of "expected-spend" has been published yet.' },
      });
  });
});

describe('a published model', () => {
  beforeAll(async () => {
    const published = await call('/v1/admin/models/expected-spend/champion', {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(await expectedSpendBundle()),
    });
    expect(published.status).toBe(201);
    version = String(published.json['version']);
    await eventually(
      () => call(`${MODEL}/ready`),
      ({ status }) => status === 200,
    );
  });

  it('has the metadata of its graph, with and without its version', async () => {
    const metadata = {
      status: 200,
      json: {
        name: 'expected-spend',
        versions: [version],
        platform: 'onnx_onnxv1',
        inputs: [
          { name: 'features', datatype: 'FP32', shape: [-1, 2] },
          { name: 'count', datatype: 'INT64', shape: [-1, 1] },
        ],
        outputs: [
          { name: 'variable', datatype: 'FP32', shape: [-1, 1] },
          { name: 'doubled', datatype: 'FP32', shape: [-1, 1] },
        ],
      },
    };
    expect(await call(MODEL)).toMatchObject(metadata);
    expect(await call(`${MODEL}/versions/${version}`)).toMatchObject(metadata);
    expect(await call(`${MODEL}/versions/${version}/ready`)).toMatchObject({ status: 200 });
  });

  it('runs JSON tensors, flat and nested, and leaves lineage', async () => {
    const answer = await infer({ id: 'q-1', inputs, outputs: [{ name: 'variable' }] });
    expect(answer).toMatchObject({
      status: 200,
      json: {
        model_name: 'expected-spend',
        model_version: version,
        id: 'q-1',
        outputs: [{ name: 'variable', datatype: 'FP32', shape: [2, 1], data: [11, 31] }],
      },
    });
    expect(answer.headers.get('content-type')).toBe('application/json');
    const { prediction_id: id } = Object(answer.json['parameters']);
    await eventually(
      () => call(`/v1/lineage/prediction/${id}`),
      ({ status }) => status === 200,
    );
  });

  it('takes and returns binary tensors, gzipped in both directions', async () => {
    const json = JSON.stringify({
      parameters: { binary_data_output: true },
      inputs: [
        { name: 'features', datatype: 'FP32', shape: [1, 2], parameters: { binary_data_size: 8 } },
        { name: 'count', datatype: 'INT64', shape: [1, 1], data: [1] },
      ],
    });
    const features = Buffer.from(Float32Array.of(Number.POSITIVE_INFINITY, 1).buffer);
    const answer = await call(`${MODEL}/versions/${version}/infer`, {
      method: 'POST',
      headers: {
        'inference-header-content-length': String(Buffer.byteLength(json)),
        'content-encoding': 'gzip',
        'accept-encoding': 'gzip',
      },
      body: gzipSync(Buffer.concat([Buffer.from(json), features])),
    });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-encoding')).toBe('gzip');
    expect(answer.json).toMatchObject({
      outputs: [
        { name: 'variable', shape: [1, 1], parameters: { binary_data_size: 4 } },
        { name: 'doubled', shape: [1, 1], parameters: { binary_data_size: 4 } },
      ],
    });
    expect(new Float32Array(Uint8Array.from(answer.binary).buffer)).toEqual(
      Float32Array.of(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY),
    );
  });

  it('refuses a value in JSON that is not finite', async () => {
    const sent = [{ ...inputs[0], data: [3e38, 3e38, 0, 0] }, inputs[1]];
    expect(await infer({ inputs: sent })).toMatchObject({
      status: 400,
      json: { error: expect.stringContaining('Ask for the output as binary data') },
    });
  });
});

describe('every failure has the body of the protocol', () => {
  const head = { 'inference-header-content-length': '9' };
  it.each([
    ['an unknown model', 'GET', '/v2/models/nothing', {}, undefined, 404],
    ['another version', 'GET', `${MODEL}/versions/1`, {}, undefined, 404],
    ['a path without a route', 'GET', '/v2/models', {}, undefined, 404],
    ['a method that the path does not have', 'DELETE', `${MODEL}/infer`, {}, undefined, 405],
    ['no key', 'POST', `${MODEL}/infer`, { authorization: '' }, '{}', 401],
    ['a wrong key', 'GET', '/v2', { authorization: 'Bearer wrong' }, undefined, 401],
    ['no JSON', 'POST', `${MODEL}/infer`, {}, '{"inputs": [NaN]}', 400],
    ['a header beyond the body', 'POST', `${MODEL}/infer`, head, '{}', 400],
    ['another coding', 'POST', `${MODEL}/infer`, { 'content-encoding': 'br' }, '{}', 415],
    ['no inputs', 'POST', `${MODEL}/infer`, {}, '{}', 400],
    ['an address that is not encoded', 'GET', '/v2/models/%zz', {}, undefined, 400],
    ['a large body', 'POST', `${MODEL}/infer`, {}, ' '.repeat(4 * 1024 * 1024 + 1), 413],
  ])('%s', async (_, method, path, headers, body, status) => {
    const answer = await call(path, { method, headers, ...(body === undefined ? {} : { body }) });
    expect(answer.status).toBe(status);
    expect(Object.keys(answer.json)).toEqual(['error']);
    // It does not name a header that the client has not sent.
    const sent = Object.keys(headers).includes('inference-header-content-length');
    expect(String(answer.json['error']).includes('Inference-Header-Content-Length')).toBe(sent);
    expect(answer.headers.get('content-type')).toBe('application/json');
  });
});
