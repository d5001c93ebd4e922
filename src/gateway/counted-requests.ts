import type { Hono } from 'hono';
import { createMiddleware } from 'hono/factory';
import { matchedRoutes } from 'hono/route';
import type { RouterRoute } from 'hono/types';
import { NO_ROUTE, type RequestCount } from '../operations/requests.ts';
import type { Exemplar } from '../platform/tracing/request-trace.ts';
import type { AppEnv, ReadContext } from './context.ts';

/** Counts a request that was answered, with its span if it is exported. It runs on every warm hit, and never throws. */
export type CountRequest = (
  counted: RequestCount,
  request: Request,
  env: object,
  ctx: ReadContext['executionCtx'],
  exported?: Exemplar,
) => void;

/** The methods that have a label of their own. Strangers may send any others. */
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'PUT', 'POST', 'PATCH', 'DELETE', 'OPTIONS']);
const OTHER_METHOD = 'other';

/** The label of each route: its path as the OpenAPI document has it. */
export class RouteLabels {
  readonly #apps: readonly Pick<Hono<AppEnv>, 'router'>[];
  /** By hono's spelling of a path. */
  readonly #labels = new Map<string, string>();
  /** The label of the route that a router has found for a request, so that it is not searched for again. */
  readonly #found = new WeakMap<Request, string>();

  /** @param apps in the order in which they are asked. */
  constructor(apps: readonly Pick<Hono<AppEnv>, 'router'>[]) {
    this.#apps = apps;
  }

  /** The labels of a request: its method, and the path of the route that took it. */
  of(request: Request): readonly [method: string, route: string] {
    const { method } = request;
    if (!METHODS.has(method)) return [OTHER_METHOD, NO_ROUTE];
    const known = this.#found.get(request);
    if (known !== undefined) return [method, known];
    const { pathname } = new URL(request.url);
    for (const { router } of this.#apps) {
      const [handlers] = router.match(method === 'HEAD' ? 'GET' : method, pathname);
      const found = handlers.find(([[, route]]) => isRoute(route));
      if (found !== undefined) return [method, this.#labelOf(found[0][1].path)];
    }
    return [method, NO_ROUTE];
  }

  /** Middleware that remembers which route takes a request. */
  remembered() {
    return createMiddleware<AppEnv>((c, next) => {
      const route = matchedRoutes(c).find(isRoute);
      if (route !== undefined) this.#found.set(c.req.raw, this.#labelOf(route.path));
      return next();
    });
  }

  #labelOf(path: string): string {
    let label = this.#labels.get(path);
    if (label === undefined) {
      label = documentedPath(path);
      this.#labels.set(path, label);
    }
    return label;
  }
}

/** Middleware is registered for all methods, and the answer to OPTIONS for all paths. */
function isRoute({ method, path }: Pick<RouterRoute, 'method' | 'path'>): boolean {
  return method !== 'ALL' && !path.endsWith('*');
}

/** A path of hono as the OpenAPI document has it. */
export function documentedPath(path: string): string {
  // `:name`, with or without a pattern in braces, which may have braces itself.
  return path.replaceAll(/:(\w+)(?:\{(?:[^{}]|\{[^{}]*\})*\})?/g, '{$1}');
}
