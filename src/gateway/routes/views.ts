import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { CachedAnswer } from '../../cache/read-through.ts';
import { type Principal, principalKey } from '../../define/principal.ts';
import type { Variant } from '../../define/vary.ts';
import type { ViewDefinition } from '../../define/view.ts';
import { systemNow } from '../../platform/clock.ts';
import { CachedResponses, consistencyOf, missingResponse } from '../cached-response.ts';
import { AskedBefore, honoPath, keyOf } from '../cached-routes.ts';
import { type AppEnv, type Gateway, requestIdOf } from '../context.ts';
import { consistencyHeaders, problem, securityOf, unauthorizedOf } from '../openapi.ts';
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
  const asksForKey = !view.isPublic || view.takesPrincipal;
  const hasVariants = variants.headers.length > 0;
  const ownDimensions = ownDimensionsOf(view);
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: view.path,
    summary: view.description,
    tags: ['views'],
    ...securityOf(view),
    request: { params: view.params, query: view.query, headers: headersOf(variants) },
    responses: {
      200: { description: view.description, content: { 'application/json': { schema: view.response } } },
      304: { description: 'The answer that the client has is still right.' },
      400: problem('A parameter or header is wrong.'),
      ...unauthorizedOf({ isPublic: !asksForKey }),
      404: problem('There is no such thing.'),
      500: problem('The view itself is at fault; its name and the error are in the log.'),
      503: problem('The origin does not answer, and the cache may not.'),
    },
  });
  const route = { view: view.name, path: view.path, params: view.params, query: view.query };
  const askedBefore = new AskedBefore();
  const responses = new CachedResponses([...(asksForKey ? ['Authorization'] : []), ...variants.headers]);
  app.get(honoPath(view.path), (c): Response | Promise<Response> => {
    const request = c.req.raw;
    // First of all, so that a stranger learns nothing from a 400 or a 404.
    const reader = asksForKey ? gateway.admit(c, view) : undefined;
    const principal = view.takesPrincipal ? reader : undefined;
    const startedAt = systemNow();
    const { input, key: purgeKey } = askedBefore.resolve(route, c.req);
    const variant = hasVariants ? variants.of(request) : NO_VARIANT;
    const own = ownDimensions(principal);
    const isWhole = !hasVariants && own === undefined;
    const respond = (answer: CachedAnswer, tookMs: number): Response => {
      const response = responses.of(answer, request, tookMs);
      if (answer.entry.body !== 'null') return response;
      return missingResponse(response, `No ${view.name} is there.`, requestIdOf(c));
    };
    const answer = gateway.readCached(c, {
      view: view.name,
      key: isWhole ? purgeKey : keyOf(route, input, { ...variant, ...own }),
      purgeKey,
      policy: view.policy,
      consistency: consistencyOf(request),
      input,
      variant,
      principal,
      grainMs: view.grainMs,
      load: (now) => gateway.loadView(c, view, { input, variant, principal }, now),
    });
    if (!(answer instanceof Promise)) return respond(answer, 0);
    return answer.then((late) => respond(late, systemNow() - startedAt));
  });
}

const NO_VARIANT: Variant = {};

/**
 * What keeps the entries of a view apart beside its variants, as dimensions of the cache key: whose answer it is, and
 * the length of its grain, so that a deployment that changes that finds no entry of the other length.
 */
function ownDimensionsOf({
  grainMs,
}: ViewDefinition): (principal: Principal | undefined) => Variant | undefined {
  const grain = grainMs === undefined ? undefined : { '@grain': String(grainMs) };
  return (principal) =>
    principal === undefined ? grain : { ...grain, '@principal': principalKey(principal) };
}

function headersOf({ headers }: Variants) {
  return consistencyHeaders.extend(
    Object.fromEntries(headers.map((header) => [header.toLowerCase(), z.string().optional()])),
  );
}
