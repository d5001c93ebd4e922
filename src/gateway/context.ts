import type { Context } from 'hono';
import type { CachedAnswer, ReadRequest } from '../cache/read-through.ts';
import type { Env } from '../env.ts';
import { newId } from '../platform/ids.ts';
import type { RequestPlace } from '../platform/regions.ts';
import type { CachedReads, RequestScope } from '../services/reading.ts';
import { settingsOf } from '../services/settings.ts';
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

/** A request, as far as reading through the cache needs it. */
class GatewayScope implements RequestScope {
  readonly #c: Context<AppEnv>;

  constructor(c: Context<AppEnv>) {
    this.#c = c;
  }

  keepAlive(promise: Promise<unknown>): void {
    this.#c.executionCtx.waitUntil(promise);
  }

  place(): RequestPlace {
    return placeOf(this.#c.req.raw);
  }
}

/** Reads through the cache. A warm hit needs nothing else of the services, and making them all would be dear to it. */
export function readCached(c: Context<AppEnv>, request: ReadRequest): CachedAnswer | Promise<CachedAnswer> {
  return settingsOf(c.env).reads.read(request, new GatewayScope(c));
}

/** Reads a view's answer from the database. */
export function loadView(
  c: Context<AppEnv>,
  ...asked: Parameters<CachedReads['load']>
): ReturnType<CachedReads['load']> {
  return settingsOf(c.env).reads.load(...asked);
}

/** The services of a request. Made here and not in a middleware: each of those costs two microseconds. */
export function servicesOf(c: Context<AppEnv>): Services {
  const made = c.get('services');
  if (made !== undefined) return made;
  const services = createServices(c.env, new GatewayScope(c), LINEAGE_PAUSE_MS);
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
