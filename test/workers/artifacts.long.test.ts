import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeAll, beforeEach, expect, it } from 'vitest';
import { Isolate } from '../../src/composition/isolate.ts';
import { appOf } from '../../src/composition/worker.ts';
import { MODEL_BYTES_MAX, versionOf } from '../../src/inference/bundle.ts';
import { artifactKey } from '../../src/inference/names.ts';
import { sha256Hex } from '../../src/platform/digest.ts';
import { catalog } from '../support/catalog/index.ts';
import { classifierGraph } from '../support/onnx/graph.ts';
import { answerAuditStatements } from '../support/workers/audit-database.ts';
import { answerRegistryStatements } from '../support/workers/registry-database.ts';
import { serveEntity } from '../support/workers/serve-features.ts';

answerAuditStatements();
const database = answerRegistryStatements();
beforeAll(async () => {
  await serveEntity('customer');
});

/** The R2 operations of a test, and the bytes that they have moved. */
const counted = { get: 0, put: 0, others: 0, bytesRead: 0 };
beforeEach(() => {
  Object.assign(counted, { get: 0, put: 0, others: 0, bytesRead: 0 });
});

/** The bucket, whose calls are counted. */
function countingBucket(bucket: R2Bucket): R2Bucket {
  return new Proxy(bucket, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== 'function') return member;
      return async (...sent: unknown[]) => {
        counted[name === 'get' || name === 'put' ? name : 'others'] += 1;
        const answer: unknown = await Reflect.apply(member, target, sent);
        if (name === 'get' && answer !== null)
          counted.bytesRead += Number(Reflect.get(Object(answer), 'size'));
        return answer;
      };
    },
  });
}

const bindings = { ...env, MODELS: countingBucket(env.MODELS) };
/** An isolate that has just begun. */
const coldApp = () => appOf(new Isolate(catalog));
const app = coldApp();

async function call(
  method: string,
  path: string,
  type: string,
  body: BodyInit,
  headers: HeadersInit = {},
  to = app,
) {
  const ctx = createExecutionContext();
  const request = new Request(`https://shop.test${path}`, {
    method,
    headers: { authorization: 'Bearer test-key', 'content-type': type, ...headers },
    body,
  });
  const response = await to.fetch(request, bindings, ctx);
  const json: Record<string, unknown> = JSON.parse(await response.text());
  await waitOnExecutionContext(ctx);
  return { status: response.status, json };
}

const upload = (sha256: string, body: BodyInit, bytes: number | undefined) =>
  call(
    'PUT',
    `/v1/admin/artifacts/${sha256}`,
    'application/octet-stream',
    body,
    bytes === undefined ? {} : { 'content-length': String(bytes) },
  );

/** A body in chunks, and how many of them were read. It breaks off where it has `undefined`. */
function chunked(chunks: readonly (Uint8Array | undefined)[]) {
  let read = 0;
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const chunk = chunks[read];
        if (read >= chunks.length) controller.close();
        else if (chunk === undefined) controller.error(new Error('The client has gone.'));
        else controller.enqueue(chunk);
        read += 1;
      },
    },
    { highWaterMark: 0 },
  );
  return { body, read: () => read };
}

it('stores an artifact in chunks, under its digest, by one operation', async () => {
  const chunks = [Uint8Array.of(1, 2), Uint8Array.of(3), Uint8Array.of(4, 5, 6)];
  const bytes = Uint8Array.of(1, 2, 3, 4, 5, 6);
  const sha256 = await sha256Hex(bytes);
  expect(await upload(sha256, chunked(chunks).body, 6)).toEqual({ status: 201, json: { sha256, bytes: 6 } });
  expect(counted).toMatchObject({ get: 0, put: 1, others: 0 });
  const stored = await env.MODELS.get(artifactKey(sha256));
  expect(new Uint8Array((await stored?.arrayBuffer()) ?? new ArrayBuffer())).toEqual(bytes);
  // Again, as a client does that did not see the answer.
  expect((await upload(sha256, bytes, 6)).status).toBe(201);
});

it.each([
  ['is too large', 'a'.repeat(64), MODEL_BYTES_MAX + 1, 413, 'body_too_large'],
  ['has no length', 'a'.repeat(64), undefined, 411, 'length_required'],
  ['has no digest', 'model.onnx', 3, 400, 'invalid_request'],
])('refuses an artifact that %s, and does not read it', async (_, sha256, bytes, status, code) => {
  const { body, read } = chunked([Uint8Array.of(1, 2, 3)]);
  expect(await upload(sha256, body, bytes)).toMatchObject({ status, json: { code } });
  expect(read()).toBe(0);
  expect(counted).toMatchObject({ get: 0, put: 0, others: 0 });
});

it.each([
  ['has another digest', [Uint8Array.of(1, 2, 3), Uint8Array.of(4)], 422, 'invalid_model'],
  ['breaks off', [Uint8Array.of(1, 2, 3), undefined], 400, 'incomplete_body'],
  ['ends early', [Uint8Array.of(1, 2, 3)], 422, 'invalid_model'],
] as const)('stores nothing of an artifact that %s', async (_, chunks, status, code) => {
  const sha256 = await sha256Hex(Uint8Array.of(9, 9, 9, 9));
  expect(await upload(sha256, chunked(chunks).body, 4)).toMatchObject({ status, json: { code } });
  expect(await env.MODELS.head(artifactKey(sha256))).toBeNull();
});

it('takes 3 operations for a publication, reads an artifact once for a cold load, and nothing for a prediction', async () => {
  const onnx = classifierGraph();
  const model = { sha256: await sha256Hex(onnx), bytes: onnx.length };
  const manifest = {
    name: 'mood',
    version: await versionOf({ model }),
    model,
    inputs: [{ name: 'input', datatype: 'FP32', shape: [-1, 2], columns: ['purchases_30d', 'hour'] }],
    outputs: [
      { name: 'label', datatype: 'BYTES', shape: [-1] },
      { name: 'probabilities', datatype: 'FP32', shape: [-1, 3] },
    ],
  };
  const golden = { inputs: { input: [[-5, 0]] }, outputs: { label: ['low'] }, tolerance: 1e-4 };
  const publish = () =>
    call('PUT', '/v1/admin/models/mood/champion', 'application/json', JSON.stringify({ manifest, golden }));
  expect(await publish()).toMatchObject({ status: 422, json: { code: 'invalid_model', pointer: '/model' } });

  expect((await upload(model.sha256, onnx, onnx.length)).status).toBe(201);
  Object.assign(counted, { get: 0, put: 0, bytesRead: 0 });
  expect(await publish()).toMatchObject({ status: 201 });
  // The artifact; a look at the copy of the manifest, and its new copy.
  expect(counted).toEqual({ get: 1, put: 1, others: 1, bytesRead: onnx.length });

  const cold = coldApp();
  const body = JSON.stringify({ key: 'ada', request: { hour: 9 } });
  const predict = () => call('POST', '/v1/predictions/mood', 'application/json', body, {}, cold);
  Object.assign(counted, { get: 0, put: 0, others: 0, bytesRead: 0 });
  database.aliases = 0;
  const first = await Promise.all([predict(), predict(), predict()]);
  expect(first.map(({ json }) => json['source'])).toEqual(['model', 'model', 'model']);
  // The artifact is read once for all. Each of them asks the database while the cache has no manifest; on a busy machine the
  // last of them may find one.
  expect(counted).toEqual({ get: 1, put: 0, others: 0, bytesRead: onnx.length });
  const asked = database.aliases;
  expect([1, 2, 3]).toContain(asked);
  // At once, because each waits until its lineage is written, which an isolate does every five seconds.
  const warm = await Promise.all(Array.from({ length: 10 }, predict));
  expect(warm.every(({ json }) => json['source'] === 'model')).toBe(true);
  expect(counted).toMatchObject({ get: 1, put: 0, others: 0 });
  expect(database.aliases).toBe(asked);
});
