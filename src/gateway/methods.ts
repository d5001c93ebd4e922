import type { Hono } from 'hono';
import { Failure } from '../platform/failure.ts';
import type { AppEnv } from './context.ts';
import { type FailureForm, problemResponse } from './problem.ts';

/** The methods of HTTP that a route can be registered for. Hono answers HEAD by the route of GET. */
const METHODS = ['GET', 'PUT', 'POST', 'PATCH', 'DELETE'] as const;

/** As much of hono's app as the search needs. */
type Routed = Pick<Hono<AppEnv>, 'router'>;

/**
 * The value of `Allow` (RFC 9110 §10.2.1) for a path: every method that some app has a route for, with HEAD beside GET,
 * and OPTIONS. `undefined` if no route has the path. Middleware is registered for all methods and is not counted.
 */
export function allowedAt(path: string, apps: readonly Routed[]): string | undefined {
  const allowed = METHODS.filter((method) => apps.some((app) => hasRoute(app, method, path)));
  if (allowed.length === 0) return undefined;
  return [...allowed.flatMap((method) => (method === 'GET' ? [method, 'HEAD'] : [method])), 'OPTIONS'].join(
    ', ',
  );
}

function hasRoute({ router }: Routed, method: string, path: string): boolean {
  const [handlers] = router.match(method, path);
  return handlers.some(([[, route]]) => route.method === method);
}

/** The answer to OPTIONS of a path with routes (RFC 9110 §9.3.7). It reveals no more than `/openapi.json`. */
export function optionsResponse(allow: string): Response {
  return new Response(null, { status: 204, headers: { allow } });
}

/**
 * The answer where no route answered: 405 with `Allow` if the path has routes and none for this method, else 404. A
 * route may leave a request unanswered, as the page at `/` does where HTML is not accepted.
 */
export function noRouteResponse(
  method: string,
  allow: string | undefined,
  requestId: string,
  form: FailureForm,
): Response {
  if (allow === undefined || allow.split(', ').includes(method))
    return problemResponse(
      new Failure('not_found', 'No route answers this; see /openapi.json.'),
      requestId,
      form,
    );
  const response = problemResponse(
    new Failure('method_not_allowed', `This path has no ${method}. It allows ${allow}.`),
    requestId,
    form,
  );
  response.headers.set('allow', allow);
  return response;
}
