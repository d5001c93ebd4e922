import type { Context } from 'hono';
import { createMiddleware } from 'hono/factory';
import { matchedRoutes } from 'hono/route';
import { searchOf } from '../address.ts';
import { honoPath } from '../cached-routes.ts';
import type { AppEnv } from '../context.ts';
import type { Registry } from '../contract/headers.ts';
import { NO_PARAMETERS, parametersOf, type QueryForm, queryFormOf } from '../query.ts';

/**
 * Middleware that checks the query of every request before its route reads it, against the schema that the OpenAPI
 * document shows. A route that documents no query takes no parameters, so a route cannot forget the check.
 */
export function queriesAreStrict(registry: Registry) {
  // With the first query: all routes are registered then.
  let forms: ReadonlyMap<string, QueryForm> | undefined;
  return createMiddleware<AppEnv>(async (c, next) => {
    const search = searchOf(c.req.url);
    const route = search === '' ? undefined : routeOf(c);
    if (route !== undefined) {
      forms ??= formsOf(registry);
      parametersOf(search, forms.get(route) ?? NO_PARAMETERS, '');
    }
    await next();
  });
}

/** The method and the path of the route that answers a request: `GET /v1/events/:source/:id`. */
export function routeOf(c: Context<AppEnv>): string | undefined {
  // A route has a method of its own; middleware has all of them.
  const route = matchedRoutes(c).findLast(({ method }) => method !== 'ALL');
  return route === undefined ? undefined : `${route.method} ${withoutPatterns(route.path)}`;
}

/** A path of hono as the document has it: `/:id{[0-9]+}` is `/:id`. */
function withoutPatterns(path: string): string {
  return path.replaceAll(/(:\w+)\{[^}]*\}/g, '$1');
}

function formsOf({ definitions }: Registry): Map<string, QueryForm> {
  const forms = new Map<string, QueryForm>();
  for (const definition of definitions) {
    if (definition.type !== 'route') continue;
    const { method, path, request } = definition.route;
    const query = request?.query;
    if (query !== undefined && 'shape' in query)
      forms.set(`${method.toUpperCase()} ${honoPath(path)}`, queryFormOf(query));
  }
  return forms;
}
