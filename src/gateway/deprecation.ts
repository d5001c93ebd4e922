import type { Context } from 'hono';
import { createMiddleware } from 'hono/factory';
import type { EntityDefinition } from '../define/entity.ts';
import type { ModelDefinition } from '../define/model.ts';
import { parametersOf } from '../define/path.ts';
import type { Principal } from '../define/principal.ts';
import type { Deprecation, RouteDeprecation } from '../define/version.ts';
import type { AppEnv, Gateway } from './context.ts';

const NOT_ADMITTED = [401, 403];

/** What counts the requests of deprecated routes. */
export interface DeprecationPorts {
  readonly noteDeprecated: (version: string, principal: Principal | undefined) => void;
}

/** A deprecated route. */
interface Deprecated {
  /** As `/v1/admin/deprecations` counts it. */
  readonly name: string;
  readonly end: RouteDeprecation;
}

/** The moments of an announced end, in milliseconds since the Unix epoch. */
interface End {
  readonly since: number;
  readonly sunset: number | undefined;
}

/**
 * `Deprecation` (RFC 9745: a structured date), `Sunset` (RFC 8594: an HTTP date), and where to read about both.
 *
 * @param links the values of `Link` (RFC 8288), without the first.
 */
export function deprecationHeaders(
  end: End,
  { describedBy, links = [] }: { readonly describedBy: string; readonly links?: readonly string[] },
): Record<string, string> {
  return {
    deprecation: `@${end.since / 1_000}`,
    ...(end.sunset === undefined ? {} : { sunset: new Date(end.sunset).toUTCString() }),
    link: [`<${describedBy}>; rel="deprecation"; type="application/json"`, ...links].join(', '),
  };
}

/**
 * Announces the end of a deprecated route in its answer: `Deprecation`, `Sunset`, and the address of what replaces it
 * (RFC 5829 §3.3) with the request's own parameters.
 */
export function announce(
  { headers }: Response,
  { since, sunset, by }: RouteDeprecation,
  parameters: Readonly<Record<string, string>>,
): void {
  const successor = by?.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(parameters[name] ?? ''),
  );
  const end = {
    since: Date.parse(since),
    sunset: sunset === undefined ? undefined : Date.parse(sunset),
  };
  const announced = deprecationHeaders(end, {
    describedBy: '/openapi.json',
    links: successor === undefined ? [] : [`<${successor}>; rel="successor-version"`],
  });
  for (const [name, value] of Object.entries(announced)) headers.set(name, value);
}

/**
 * Middleware that counts the requests of deprecated routes, and announces their end in every answer to a sender who was
 * admitted, refusals too.
 *
 * @param deprecatedOf the route's name in `/v1/admin/deprecations` and its end; undefined for a route that stays.
 */
export function announcing(
  { noteDeprecated }: Pick<Gateway, 'noteDeprecated'>,
  deprecatedOf: (c: Context<AppEnv>) => Deprecated | undefined,
) {
  return createMiddleware<AppEnv>(async (c, next) => {
    await next();
    // A sender without the right to use the route is no user of it.
    const deprecated = NOT_ADMITTED.includes(c.res.status) ? undefined : deprecatedOf(c);
    if (deprecated === undefined) return;
    noteDeprecated(c, deprecated.name);
    announce(c.res, deprecated.end, c.req.param());
  });
}

/** The name by which `/v1/admin/deprecations` counts the writes of an entity. */
export function nameOfWrites({ name }: EntityDefinition): string {
  return `entity ${name}`;
}

/** The name by which `/v1/admin/deprecations` counts the routes of a model. */
export function nameOfModel({ name }: ModelDefinition): string {
  return `model ${name}`;
}

/** The end of a model's route at its own path; undefined if the model stays. */
export function endOfPath({ deprecated, path }: ModelDefinition): RouteDeprecation | undefined {
  const own = parametersOf(path ?? '');
  const by = deprecated?.by?.path;
  // The request's parameters name the successor's entity only if both paths have the same.
  const fits = by !== undefined && parametersOf(by).every((name) => own.includes(name));
  return endOf(deprecated, fits ? by : undefined);
}

/** The end of `POST /v1/predictions/{model}`. */
export function endOfPredictions({ deprecated }: ModelDefinition): RouteDeprecation | undefined {
  return endOf(deprecated, deprecated?.by && `/v1/predictions/${deprecated.by.name}`);
}

/**
 * The end of a route of the Open Inference Protocol. A version of the model is none of the model that replaces it.
 *
 * @param action what follows the model and the version: `/infer`, `/ready`, or nothing.
 */
export function endOfInference(
  { deprecated }: ModelDefinition,
  action: string,
): RouteDeprecation | undefined {
  return endOf(deprecated, deprecated?.by && `/v2/models/${deprecated.by.name}${action}`);
}

function endOf(deprecated: Deprecation | undefined, by: string | undefined): RouteDeprecation | undefined {
  return deprecated === undefined ? undefined : { since: deprecated.since, sunset: deprecated.sunset, by };
}
