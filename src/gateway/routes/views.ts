import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { ViewDefinition } from '../../catalog/define/view.ts';
import { guarded } from '../../storage/postgres/connect.ts';
import { cachedResponse, consistencyOf, missingResponse } from '../cached-response.ts';
import { honoPath, inputOf, keyOf } from '../cached-routes.ts';
import type { AppEnv } from '../context.ts';
import { consistencyHeaders, problem } from '../openapi.ts';
import { type Variants, variantsOf } from '../variants.ts';

/** Serves every view of the catalog: `GET` of its path, through the cache. */
export function registerViews(app: OpenAPIHono<AppEnv>, views: readonly ViewDefinition[]): void {
  for (const view of views) registerView(app, view);
}

function registerView(app: OpenAPIHono<AppEnv>, view: ViewDefinition): void {
  const variants = variantsOf(view);
  const varies = variants.headers.length > 0;
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: view.path,
    summary: view.description,
    tags: ['views'],
    request: { params: view.params, query: view.query, headers: headersOf(variants) },
    responses: {
      200: { description: view.description, content: { 'application/json': { schema: view.response } } },
      304: { description: 'The answer that the client has is still right.' },
      400: problem('A parameter or header is wrong.'),
      404: problem('There is no such thing.'),
      503: problem('The origin does not answer, and the cache may not.'),
    },
  });
  app.get(honoPath(view.path), async (c) => {
    const { services, requestId } = c.var;
    const startedAt = services.now();
    const input = inputOf(view, c.req);
    const purgeKey = keyOf({ view: view.name }, input);
    const variant = varies ? variants.of(c.req.raw) : {};
    const answer = await services.read({
      view: view.name,
      key: varies ? keyOf({ view: view.name }, input, variant) : purgeKey,
      purgeKey,
      policy: view.policy,
      consistency: consistencyOf(c.req.raw),
      load: () => guarded(() => services.load(view, input, variant)),
    });
    const response = cachedResponse(answer, c.req.raw, startedAt, services.now());
    if (varies) response.headers.append('vary', variants.headers.join(', '));
    return answer.entry.body === 'null'
      ? missingResponse(response, `No ${view.name} is there.`, requestId)
      : response;
  });
}

function headersOf({ headers }: Variants) {
  return consistencyHeaders.extend(
    Object.fromEntries(headers.map((header) => [header.toLowerCase(), z.string().optional()])),
  );
}
