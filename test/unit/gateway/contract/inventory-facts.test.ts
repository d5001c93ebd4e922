import { OpenAPIHono, z } from '@hono/zod-openapi';
import { expect, it } from 'vitest';
import type { AppEnv } from '../../../../src/gateway/context.ts';
import { inventoryFacts } from '../../../../src/gateway/contract/inventory.ts';

function appWith(...documented: readonly (readonly [path: string, more: object])[]) {
  const app = new OpenAPIHono<AppEnv>();
  for (const [path, more] of documented)
    app.openAPIRegistry.registerPath({
      ...{ method: 'get', path, operationId: path, summary: 'A summary.' },
      responses: { 200: { description: '', content: { 'application/json': { schema: z.object({}) } } } },
      ...more,
    });
  return app;
}
const answer = () => new Response();

it('finds routes that the document lacks, in each app', () => {
  const app = appWith(['/v1/quality', {}], ['/v1/predictions/ranker', { method: 'post' }]);
  const cached = new OpenAPIHono<AppEnv>();
  app.use('*', async (_, next) => await next());
  app.options('*', answer);
  app.get('/v1/quality', answer);
  app.get('/docs/:file{.+}', answer);
  app.post('/v1/predictions/:model', answer);
  expect(inventoryFacts([app, cached], app.openAPIRegistry)).toEqual({
    ...{ operations: 2, undocumented: [], incomplete: [] },
  });
  app.get('/v1/quality/:type{[a-z]{2}}', answer);
  cached.put('/v1/quality', answer);
  expect(inventoryFacts([app, cached], app.openAPIRegistry).undocumented).toEqual([
    'GET /v1/quality/{type}',
    'PUT /v1/quality',
  ]);
});

it('finds operations that say too little', () => {
  const app = appWith(
    ['/v1/quality', { summary: '' }],
    ['/v1/gates', { operationId: undefined }],
    ['/metrics', { responses: { 503: { description: 'away' } } }],
  );
  expect(inventoryFacts([app], app.openAPIRegistry).incomplete).toEqual([
    ...['GET /v1/quality', 'GET /v1/gates', 'GET /metrics'],
  ]);
});
