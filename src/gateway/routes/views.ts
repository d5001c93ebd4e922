import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { CachedAnswer, ReadRequest } from '../../cache/read-through.ts';
import type { Variant } from '../../define/vary.ts';
import type { Loaded, ViewDefinition } from '../../define/view.ts';
import { systemNow } from '../../platform/clock.ts';
import { CachedResponses, consistencyOf, missingResponse } from '../cached-response.ts';
import { AskedBefore, honoPath, keyOf } from '../cached-routes.ts';
import { type AppEnv, type PortsOf, requestIdOf } from '../context.ts';
import { consistencyHeaders, problem } from '../openapi.ts';
import { type Variants, variantsOf } from '../variants.ts';

/** One for all requests of an isolate, so that a warm hit makes none. */
export interface ViewPorts {
  /** Reads through the cache. The answer comes at once where it is in memory: a promise costs more than the look-up. */
  read(
    request: ReadRequest,
    http: Request,
    ctx: Pick<ExecutionContext, 'waitUntil'>,
  ): CachedAnswer | Promise<CachedAnswer>;
  /** Reads a view's answer from the database, with the moment of the clock that it reflects. */
  load(view: ViewDefinition, input: unknown, variant: Variant): Promise<Loaded>;
}

/** Serves every view of the catalog: `GET` of its path, through the cache. */
export function registerViews(
  app: OpenAPIHono<AppEnv>,
  readsOf: PortsOf<ViewPorts>,
  views: readonly ViewDefinition[],
): void {
  for (const view of views) registerView(app, readsOf, view);
}

function registerView(app: OpenAPIHono<AppEnv>, readsOf: PortsOf<ViewPorts>, view: ViewDefinition): void {
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
    const reads = readsOf(c);
    const wanted = {
      view: view.name,
      key: varies ? keyOf(route, input, variant) : purgeKey,
      purgeKey,
      policy: view.policy,
      consistency: consistencyOf(request),
      input,
      variant,
      load: () => reads.load(view, input, variant),
    };
    const answer = reads.read(wanted, request, c.executionCtx);
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
