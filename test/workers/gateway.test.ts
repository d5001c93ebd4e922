import { createExecutionContext, SELF } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { Isolate } from '../../src/composition/isolate.ts';
import { appOf } from '../../src/composition/worker.ts';
import { defineCatalog } from '../../src/define/define-catalog.ts';
import { RESERVED_PATHS } from '../../src/define/reserved-paths.ts';
import { view } from '../../src/define/view.ts';
import { catalog } from '../support/catalog/index.ts';

const URL_BASE = 'https://shop.test';
const KEY = { authorization: 'Bearer test-key' };

async function call(method: string, path: string, options: { headers?: HeadersInit; body?: BodyInit } = {}) {
  const response = await SELF.fetch(`${URL_BASE}${path}`, { method, ...options });
  const text = await response.text();
  const json: Record<string, unknown> = text.startsWith('{') ? JSON.parse(text) : {};
  return { status: response.status, headers: response.headers, json };
}
const jsonBody = (body: unknown, headers: HeadersInit = {}) => ({
  headers: { 'content-type': 'application/json', ...headers },
  body: typeof body === 'string' ? body : JSON.stringify(body),
});

describe('a closed route', () => {
  it.each([
    ['POST', '/v1/events'],
    ['PUT', '/v1/products/85123A'],
    ['DELETE', '/v1/products/85123A'],
    ['PUT', '/v1/admin/models/ranker/champion'],
    ['PUT', '/v1/admin/artifacts/0'],
    ['GET', '/v1/admin/pipeline'],
    ['GET', '/v1/admin'],
    ['POST', '/v1/admin/outbox/sweep'],
    ['POST', '/v1/features/write'],
    ['POST', '/anything'],
  ])('%s %s asks for the key', async (method, path) => {
    const headers: HeadersInit[] = [
      {},
      { authorization: 'Bearer wrong' },
      { authorization: 'Basic dGVzdA==' },
    ];
    for (const header of headers) {
      const answer = await call(method, path, { headers: header });
      expect(answer.status).toBe(401);
      expect(answer.json).toMatchObject({ code: 'unauthorized' });
      expect(answer.headers.get('www-authenticate')).toContain('Bearer');
    }
  });
});

it('serves cached reads by the fastest router that hono has', async () => {
  const app = appOf(new Isolate(catalog));
  // hono chooses with the first request. This one is refused before it needs a database.
  expect((await app.request('/v1/products?limit=0', {}, env, createExecutionContext())).status).toBe(400);
  expect(app.router.name).toBe('SmartRouter + RegExpRouter');
});

it('keeps its own routes on reserved paths', async () => {
  const app = appOf(new Isolate(defineCatalog({})));
  const document = await (await app.request('/openapi.json', {}, env, createExecutionContext())).json();
  const { paths } = z.object({ paths: z.record(z.string(), z.unknown()) }).parse(document);
  expect(Object.keys(paths).length).toBeGreaterThan(20);
  const feast = ['/get-online-features', '/push', '/write-to-online-store'];
  const reserved = [...RESERVED_PATHS, ...feast, '/health', '/metrics', '/openapi.json', '/v2'];
  const elsewhere = Object.keys(paths).filter(
    (path) => !reserved.some((prefix) => path === prefix || path.startsWith(`${prefix}/`)),
  );
  expect(elsewhere).toEqual([]);
});

it('reaches the more specific of two routes, in whatever order they are declared', async () => {
  const answering = (name: string, path: `/v1/${string}`, params: z.ZodRawShape) =>
    view({
      name,
      path,
      description: 'Refuses every request, and so names itself.',
      params,
      query: { [name]: z.string() },
      response: z.object({}),
      load: async () => ({}),
      tags: () => [],
    });
  const views = {
    one: answering('one', '/v1/stations/{id}', { id: z.string() }),
    search: answering('search', '/v1/stations/search', {}),
  };
  const app = appOf(new Isolate(defineCatalog({ views })));
  const asked = async (path: string) =>
    z
      .object({ pointer: z.string() })
      .parse(await (await app.request(path, { headers: KEY }, env, createExecutionContext())).json());
  expect(await asked('/v1/stations/search')).toEqual({ pointer: 'search' });
  expect(await asked('/v1/stations/7')).toEqual({ pointer: 'one' });
});

it('has no route for another spelling of a path', async () => {
  expect((await call('GET', '/V1/ADMIN/pipeline', { headers: KEY })).status).toBe(404);
});

describe('bad input', () => {
  const cloudEvent = { 'content-type': 'application/cloudevents+json', ...KEY };
  const bytes = (...values: number[]) => Uint8Array.from(values);

  it.each([
    [
      'JSON that is none',
      'POST',
      '/v1/events',
      { headers: cloudEvent, body: '{"a"' },
      400,
      'malformed_json',
      undefined,
    ],
    [
      'broken UTF-8',
      'POST',
      '/v1/events',
      { headers: cloudEvent, body: bytes(0x22, 0xff, 0x22) },
      400,
      'malformed_json',
      undefined,
    ],
    [
      'deep JSON',
      'POST',
      '/v1/events',
      { headers: cloudEvent, body: '['.repeat(100_000) },
      400,
      'malformed_json',
      undefined,
    ],
    [
      'another content type',
      'POST',
      '/v1/events',
      { headers: { ...KEY, 'content-type': 'text/plain' }, body: 'x' },
      415,
      'unsupported_media_type',
      'Content-Type',
    ],
    [
      'a huge body',
      'POST',
      '/v1/events',
      { headers: cloudEvent, body: `"${'x'.repeat(5_000_000)}"` },
      413,
      'body_too_large',
      undefined,
    ],
    [
      'a batch that is none',
      'POST',
      '/v1/events',
      { headers: { ...KEY, 'content-type': 'application/cloudevents-batch+json' }, body: '{}' },
      400,
      'invalid_request',
      '',
    ],
    [
      'too many events',
      'POST',
      '/v1/events',
      {
        headers: { ...KEY, 'content-type': 'application/cloudevents-batch+json' },
        body: `[${'1,'.repeat(1000)}1]`,
      },
      413,
      'too_many_events',
      undefined,
    ],
    [
      'a price in words',
      'PUT',
      '/v1/products/1',
      jsonBody({ description: 'x', unitPrice: 'much' }, KEY),
      400,
      'invalid_request',
      '/unitPrice',
    ],
    [
      'an unknown field',
      'PUT',
      '/v1/products/1',
      jsonBody({ description: 'x', unitPrice: 1, owner: 'me' }, KEY),
      400,
      'invalid_request',
      '',
    ],
    [
      'a SKU that is none',
      'PUT',
      '/v1/products/%3Cb%3E',
      jsonBody({ description: 'x', unitPrice: 1 }, KEY),
      400,
      'invalid_request',
      'sku',
    ],
    ['a page that is too long', 'GET', '/v1/products?limit=101', {}, 400, 'invalid_request', 'limit'],
    [
      'a cursor from nowhere',
      'GET',
      '/v1/customers/1/purchases?before=x',
      { headers: KEY },
      400,
      'invalid_cursor',
      'before',
    ],
    [
      'an unknown level',
      'GET',
      '/v1/products/1',
      { headers: { 'millrace-consistency': 'perfect' } },
      400,
      'invalid_request',
      'Millrace-Consistency',
    ],
    [
      'a token that is none',
      'GET',
      '/v1/products/1',
      { headers: { 'millrace-token': 'x' } },
      400,
      'invalid_token',
      'Millrace-Token',
    ],
    [
      'a token of another epoch',
      'GET',
      '/v1/products/1',
      { headers: { 'millrace-token': 'abc.1' } },
      412,
      'token_from_another_epoch',
      'Millrace-Token',
    ],
    [
      'an unknown entity',
      'POST',
      '/v1/features/read',
      jsonBody({ entity: 'ghost', keys: ['1'] }, KEY),
      422,
      'unknown_entity',
      '/entity',
    ],
    [
      'an unknown feature',
      'POST',
      '/v1/features/read',
      jsonBody({ entity: 'customer', keys: ['1'], features: ['x'] }, KEY),
      422,
      'unknown_feature',
      '/features/0',
    ],
    [
      'too many keys',
      'POST',
      '/v1/features/read',
      jsonBody({ entity: 'customer', keys: Array.from({ length: 101 }, String) }, KEY),
      400,
      'invalid_request',
      '/keys',
    ],
    [
      'an unknown model',
      'POST',
      '/v1/predictions/oracle',
      jsonBody({ key: '1' }, KEY),
      404,
      'unknown_model',
      'model',
    ],
    [
      'a model that nobody published',
      'POST',
      '/v1/predictions/ranker',
      jsonBody({ key: '1' }, KEY),
      503,
      'model_unavailable',
      undefined,
    ],
    [
      'a model that is none',
      'PUT',
      '/v1/admin/models/ranker/champion',
      jsonBody({ manifest: {} }, KEY),
      422,
      'invalid_model',
      '/manifest/name',
    ],
    ['a path that is none', 'GET', '/v1/nothing', { headers: KEY }, 404, 'not_found', undefined],
  ] as const)('%s', async (_, method, path, options, status, code, pointer) => {
    const answer = await call(method, path, options);
    expect(answer.json).toMatchObject({ status, code, ...(pointer === undefined ? {} : { pointer }) });
    expect(answer.status).toBe(status);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
  });
});

describe('without a database', () => {
  it('a read that is not cached and a write answer 503 with Retry-After, and health says why', async () => {
    const read = await call('GET', '/v1/products/85123A');
    expect(read.status).toBe(503);
    expect(read.json).toMatchObject({ code: 'database_unavailable' });
    expect(read.headers.get('retry-after')).toBe('5');
    const write = await call('PUT', '/v1/products/85123A', jsonBody({ description: 'x', unitPrice: 1 }, KEY));
    expect(write.status).toBe(503);
    expect(write.headers.get('retry-after')).toBe('5');
    expect((await call('GET', '/health/live')).status).toBe(200);
    const ready = await call('GET', '/health/ready');
    expect(ready.status).toBe(503);
    expect(ready.json).toMatchObject({ checks: { database: 'unavailable', clock: 'ok', artifacts: 'ok' } });
  });

  it('features are still read', async () => {
    const answer = await call(
      'POST',
      '/v1/features/read',
      jsonBody({ entity: 'customer', keys: ['b', 'a'] }, KEY),
    );
    expect(answer.status).toBe(200);
    expect(answer.json['results']).toMatchObject([{ key: 'b' }, { key: 'a' }]);
  });
});

describe('the document of the API', () => {
  it('has every view and write of the catalog in OpenAPI, and a schema for every event type', async () => {
    const { json } = await call('GET', '/openapi.json');
    expect(Object.keys(json['paths'] as object)).toEqual(
      expect.arrayContaining([
        '/v1/products/{sku}',
        '/v1/customers/{id}/recommendations',
        '/v1/products/{sku}',
        '/v1/events',
      ]),
    );
    const types = await call('GET', '/v1/events/types');
    expect(types.json['types']).toMatchObject([
      {
        type: 'shop.purchase.v1',
        current: true,
        schema: { type: 'object' },
        rules: expect.arrayContaining(['quantity_not_positive']),
      },
      { type: 'shop.return.v1' },
      { type: 'shop.product-view.v2', current: true, deprecated: null },
      { type: 'shop.product-view.v1', current: false, deprecated: { sunset: '2027-11-01' } },
    ]);
  });
});
