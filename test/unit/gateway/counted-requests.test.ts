import { Hono } from 'hono';
import { expect, it } from 'vitest';
import type { AppEnv } from '../../../src/gateway/context.ts';
import { RouteLabels } from '../../../src/gateway/counted-requests.ts';

const cached = new Hono<AppEnv>().get('/v1/products/:sku', (c) => c.text('product'));
const uncached = new Hono<AppEnv>()
  .use('*', (_, next) => next())
  .options('*', (c) => c.text('methods'))
  .put('/v1/products/:sku', (c) => c.text('stored'))
  .get('/v1/admin/models/:model{[a-z]{1,8}}/drift', (c) => c.text('drift'))
  .post('/v1/events', (c) => c.text('taken'));
const routes = new RouteLabels([cached, uncached]);

it.each([
  ['GET', '/v1/products/1?limit=2', 'GET', '/v1/products/{sku}'],
  ['HEAD', '/v1/products/1', 'HEAD', '/v1/products/{sku}'],
  ['PUT', '/v1/products/1', 'PUT', '/v1/products/{sku}'],
  ['POST', '/v1/events', 'POST', '/v1/events'],
  ['GET', '/v1/admin/models/ranker/drift', 'GET', '/v1/admin/models/{model}/drift'],
  // No stranger can make a series: neither by an address, nor by a method.
  ['GET', '/v1/nothing/of/the/kind', 'GET', '(none)'],
  ['DELETE', '/v1/products/1', 'DELETE', '(none)'],
  ['OPTIONS', '/v1/products/1', 'OPTIONS', '(none)'],
  ['PROPFIND', '/v1/products/1', 'other', '(none)'],
])('%s %s is counted as %s %s', (method, path, labelled, route) => {
  expect(routes.of(new Request(`https://here${path}`, { method }))).toEqual([labelled, route]);
});
