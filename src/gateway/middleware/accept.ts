import { createMiddleware } from 'hono/factory';
import { accepts, notAcceptable } from '../accept.ts';
import { honoPath } from '../cached-routes.ts';
import type { AppEnv } from '../context.ts';
import type { Registry } from '../contract/headers.ts';
import { routeOf } from './query.ts';

/**
 * Middleware that refuses a request whose `Accept` admits neither JSON nor a media type that the OpenAPI document shows for
 * its route, before the route has an effect. A route that documents no content has nothing to refuse.
 */
export function answersAreAcceptable(registry: Registry) {
  // With the first such header: all routes are registered then.
  let types: ReadonlyMap<string, readonly string[]> | undefined;
  return createMiddleware<AppEnv>(async (c, next) => {
    const accept = c.req.header('accept') ?? null;
    if (!accepts(accept, [])) {
      types ??= typesOf(registry);
      const own = types.get(routeOf(c) ?? '') ?? [];
      if (own.length > 0 && !accepts(accept, own)) throw notAcceptable(own);
    }
    await next();
  });
}

/** The media types of the successful answers of each route that is documented. */
function typesOf({ definitions }: Registry): Map<string, string[]> {
  const types = new Map<string, string[]>();
  for (const definition of definitions) {
    if (definition.type !== 'route') continue;
    const { method, path, responses } = definition.route;
    const own = Object.entries(responses).flatMap(([status, response]) =>
      status.startsWith('2') && 'content' in response ? Object.keys(response.content ?? {}) : [],
    );
    types.set(`${method.toUpperCase()} ${honoPath(path)}`, [...new Set(own)]);
  }
  return types;
}
