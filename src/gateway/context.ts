import type { Context } from 'hono';
import type { Env } from '../env.ts';
import { newId } from '../platform/ids.ts';
import type { RequestPlace } from '../platform/regions.ts';
import { createServices, type Services } from '../services.ts';

/** What a handler may find in hono's context; to be asked for by the functions below, which make it when needed. */
export interface AppEnv {
  Bindings: Env;
  Variables: {
    services?: Services;
    requestId?: string;
  };
}

/**
 * Behind an answer there is time: an isolate writes lineage once a second then, and the writes do not meet those that
 * the answer waits for. A queue's consumer writes at once, for its batch is not acknowledged before that.
 */
const LINEAGE_PAUSE_MS = 1_000;

/** The services of a request. Made here and not in a middleware: each of those costs a warm hit two microseconds. */
export function servicesOf(c: Context<AppEnv>): Services {
  const made = c.get('services');
  if (made !== undefined) return made;
  const keepAlive = (promise: Promise<unknown>) => c.executionCtx.waitUntil(promise);
  const services = createServices(c.env, keepAlive, () => placeOf(c.req.raw), LINEAGE_PAUSE_MS);
  c.set('services', services);
  return services;
}

/** What a request is called in logs and problems: by the platform's name for it, where there is one. */
export function requestIdOf(c: Context<AppEnv>): string {
  const known = c.get('requestId') ?? c.req.header('cf-ray') ?? newId();
  c.set('requestId', known);
  return known;
}

/** Where the request came in, as the platform tells; nothing where it does not. */
function placeOf({ cf }: Request): RequestPlace {
  const told = (name: string): string | undefined => {
    const value: unknown = cf === undefined ? undefined : Reflect.get(cf, name);
    return typeof value === 'string' ? value : undefined;
  };
  return { continent: told('continent'), country: told('country'), longitude: told('longitude') };
}
