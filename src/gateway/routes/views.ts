import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { CachedAnswer, ReadRequest } from '../../cache/read-through.ts';
import { type Principal, principalKey } from '../../define/principal.ts';
import type { Variant } from '../../define/vary.ts';
import type { Loaded, Replaced, ViewDefinition, ViewRequest } from '../../define/view.ts';
import { systemNow } from '../../platform/clock.ts';
import { CachedResponses, consistencyOf, missingResponse } from '../cached-response.ts';
import { AskedBefore, honoPath, keyOf } from '../cached-routes.ts';
import { type AppEnv, type PortsOf, requestIdOf } from '../context.ts';
import { pascalCase } from '../contract/operation-id.ts';
import { registerCatalogPath } from '../contract/operations.ts';
import { replacedHeaders } from '../deprecation.ts';
import { type AccessPorts, admit } from '../middleware/authorize.ts';
import { cachedReadHeaders, json, problem } from '../openapi.ts';
import { VIEW_RULE } from '../route-rules.ts';
import { type Variants, variantsOf } from '../variants.ts';

/** One object for all requests of an isolate, so that a warm hit does not allocate one. */
export interface ViewPorts extends AccessPorts {
  /** Counts a request of a deprecated version. */
  noteDeprecated(version: string, principal: Principal | undefined): void;
  /** Reads through the cache. An answer in memory is returned without a promise, which costs more than the look-up. */
  read(
    request: ReadRequest,
    http: Request,
    ctx: { waitUntil(promise: Promise<unknown>): void },
  ): CachedAnswer | Promise<CachedAnswer>;
  /** Reads a view's answer from the origin as of `now`, with the moment of the clock that it reflects. */
  load(view: ViewDefinition, request: ViewRequest, now: number): Promise<Loaded>;
}

/** Serves a view: `GET` of its path, through the cache. */
export function registerView(
  app: OpenAPIHono<AppEnv>,
  readsOf: PortsOf<ViewPorts>,
  view: ViewDefinition,
): void {
  const variants = variantsOf(view);
  const asksForKey = !view.isPublic || view.takesPrincipal;
  const guard = { isPublic: view.isPublic, scope: VIEW_RULE.scope } as const;
  const hasVariants = variants.headers.length > 0;
  const ownDimensions = ownDimensionsOf(view);
  const facts = {
    ...VIEW_RULE,
    scope: view.isPublic ? null : VIEW_RULE.scope,
    declaredBy: `view ${view.name}`,
    owner: view.owner,
    replaced: view.replaced,
    policy: view.policy,
    takesPrincipal: view.takesPrincipal,
  };
  const announced = view.replaced === undefined ? [] : (['Deprecation', 'Link', 'Sunset'] as const);
  registerCatalogPath(app.openAPIRegistry, facts, {
    method: 'get',
    path: view.path,
    operationId: `read${pascalCase(view.name)}`,
    ...(view.replaced === undefined ? {} : { deprecated: true }),
    summary: view.description,
    tags: ['views'],
    request: { params: view.params, query: view.query, headers: headersOf(variants) },
    responses: {
      200: json(view.description, view.response, announced),

      304: { description: 'The answer that the client has is still current.' },
      404: problem('The view has no answer for these parameters.'),
      412: problem('`Millrace-Token` is from another epoch of the clock, or from the future.'),
      500: problem('The code of the view failed; the log has its name and the error.'),
      503: problem('The origin does not answer, and the cache has no entry that may be served.'),
    },
  });
  const route = { view: view.name, path: view.path, params: view.params, query: view.query };
  const askedBefore = new AskedBefore();
  const responses = new CachedResponses([...(asksForKey ? ['Authorization'] : []), ...variants.headers]);
  app.get(honoPath(view.path), (c): Response | Promise<Response> => {
    if (!asksForKey) return serve(c, undefined);
    const reader = admit(c, guard, readsOf(c));
    // A promise costs a warm hit more than the look-up, so there is one only for a key that the isolate does not know.
    return reader instanceof Promise ? reader.then((admitted) => serve(c, admitted)) : serve(c, reader);
  });
  /** Answers a reader who was admitted; undefined if the view asks for no key. */
  function serve(c: Context<AppEnv>, reader: Principal | undefined): Response | Promise<Response> {
    const request = c.req.raw;
    const principal = view.takesPrincipal ? reader : undefined;
    const startedAt = systemNow();
    const { input, key: purgeKey } = askedBefore.resolve(route, c.req);
    const variant = hasVariants ? variants.of(request) : NO_VARIANT;
    const own = ownDimensions(principal);
    const isWhole = !hasVariants && own === undefined;
    const respond = (answer: CachedAnswer, tookMs: number): Response => {
      const response = responses.of(answer, request, tookMs);
      if (view.replaced !== undefined) announce(response, view.replaced, c.req.param());
      if (answer.entry.body !== 'null') return response;
      return missingResponse(response, `There is no ${view.name} with these parameters.`, requestIdOf(c));
    };
    const reads = readsOf(c);
    if (view.replaced !== undefined) reads.noteDeprecated(view.name, reader);
    const wanted = {
      view: view.name,
      key: isWhole ? purgeKey : keyOf(route, input, { ...variant, ...own }),
      purgeKey,
      policy: view.policy,
      consistency: consistencyOf(request),
      input,
      variant,
      principal,
      grainMs: view.grainMs,
      load: (now: number) => reads.load(view, { input, variant, principal }, now),
    };
    const answer = reads.read(wanted, request, c.executionCtx);
    if (!(answer instanceof Promise)) return respond(answer, 0);
    return answer.then((late) => respond(late, systemNow() - startedAt));
  }
}

function announce(response: Response, replaced: Replaced, parameters: Record<string, string>): void {
  for (const [name, value] of Object.entries(replacedHeaders(replaced, parameters)))
    response.headers.set(name, value);
}

const NO_VARIANT: Variant = {};

/**
 * Dimensions of the cache key in addition to the variants: the principal, and the length of the grain, so that a
 * deployment that changes the length finds no entry of the old one.
 */
function ownDimensionsOf({
  grainMs,
}: ViewDefinition): (principal: Principal | undefined) => Variant | undefined {
  const grain = grainMs === undefined ? undefined : { '@grain': String(grainMs) };
  return (principal) =>
    principal === undefined ? grain : { ...grain, '@principal': principalKey(principal) };
}

function headersOf({ headers }: Variants) {
  return cachedReadHeaders.extend(
    Object.fromEntries(headers.map((header) => [header.toLowerCase(), z.string().optional()])),
  );
}
