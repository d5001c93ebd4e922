import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { CachedAnswer } from '../../cache/read-through.ts';
import type { Variant } from '../../define/vary.ts';
import type { ViewDefinition } from '../../define/view.ts';
import { systemNow } from '../../platform/clock.ts';
import { CachedResponses, consistencyOf, missingResponse } from '../cached-response.ts';
import { AskedBefore, honoPath, keyOf } from '../cached-routes.ts';
import { type AppEnv, type Gateway, requestIdOf } from '../context.ts';
import { consistencyHeaders, problem } from '../openapi.ts';
import { type Variants, variantsOf } from '../variants.ts';

/** Serves every view of the catalog: `GET` of its path, through the cache. */
export function registerViews(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  views: readonly ViewDefinition[],
): void {
  for (const view of views) registerView(app, gateway, view);
}

function registerView(app: OpenAPIHono<AppEnv>, gateway: Gateway, view: ViewDefinition): void {
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
  const route = { view: view.name, path: view.path, params: view.params, query: view.query };
  const askedBefore = new AskedBefore();
  const responses = new CachedResponses(variants.headers);
  app.get(honoPath(view.path), (c): Response | Promise<Response> => {
    const request = c.req.raw;
    const startedAt = systemNow();
    const { input, key: purgeKey } = askedBefore.resolve(route, c.req);
    const variant = varies ? variants.of(request) : NO_VARIANT;
    const respond = (answer: CachedAnswer, tookMs: number): Response => {
      const response = responses.of(answer, request, tookMs);
      if (answer.entry.body !== 'null') return response;
      return missingResponse(response, `No ${view.name} is there.`, requestIdOf(c));
    };
    const answer = gateway.readCached(c, {
      view: view.name,
      key: varies ? keyOf(route, input, variant) : purgeKey,
      purgeKey,
      policy: view.policy,
      consistency: consistencyOf(request),
      input,
      variant,
      load: () => gateway.loadView(c, view, input, variant),
    });
    if (!(answer instanceof Promise)) return respond(answer, 0);
    return answer.then((late) => respond(late, systemNow() - startedAt));
  });
}

const NO_VARIANT: Variant = {};

function headersOf({ headers }: Variants) {
  return consistencyHeaders.extend(
    Object.fromEntries(headers.map((header) => [header.toLowerCase(), z.string().optional()])),
  );
}
