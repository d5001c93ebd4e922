import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { AppEnv, Gateway } from '../context.ts';
import { completeRegistry, documentOf } from '../contract/document.ts';
import { json } from '../openapi.ts';

/** Serves what describes this deployment. Register it last: it describes the routes that were registered before. */
export function registerDescriptions(app: OpenAPIHono<AppEnv>, _: Gateway): void {
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/openapi.json',
    operationId: 'getOpenApi',
    summary: 'Describes all operations, as OpenAPI 3.1',
    tags: ['description'],
    responses: {
      200: json('The document.', z.looseObject({ openapi: z.string(), paths: z.looseObject({}) })),
    },
  });
  const operations = completeRegistry(app.openAPIRegistry);
  let document: string | undefined;
  app.get('/openapi.json', (c) => {
    document ??= documentOf(app, operations);
    return c.body(document, 200, { 'content-type': 'application/json' });
  });
}
