import type { Context } from 'hono';
import type { CachedAnswer, ReadRequest } from '../cache/read-through.ts';
import type { Env } from '../composition/env.ts';
import type { Isolate } from '../composition/isolate.ts';
import type { CachedReads, RequestScope } from '../composition/reads.ts';
import { createServices, type Services } from '../composition/services.ts';
import type { Catalog } from '../define/catalog.ts';
import type { Principal } from '../define/principal.ts';
import { newId } from '../platform/ids.ts';
import type { RequestPlace } from '../platform/regions.ts';
import { authorizeBy, closedByDefault, keyNeeded, principalOf } from './middleware/authorize.ts';

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

/** What routes are registered with: the catalog, and the ways to a request's services. */
export class Gateway {
  readonly #isolate: Isolate;

  constructor(isolate: Isolate) {
    this.#isolate = isolate;
  }

  get catalog(): Catalog {
    return this.#isolate.catalog;
  }

  /** Reads through the cache. A warm hit needs no other service, so it makes none. */
  readCached(c: Context<AppEnv>, request: ReadRequest): CachedAnswer | Promise<CachedAnswer> {
    return this.#isolate.settingsOf(c.env).reads.read(request, new GatewayScope(c));
  }

  /**
   * Who asks for something that is public or not.
   *
   * @throws Failure `unauthorized` for a stranger to what is closed, and for a wrong credential. Nothing else of the
   *   request may be judged before: a 400 or 404 would tell a stranger what exists.
   */
  admit(c: Context<AppEnv>, { isPublic }: { readonly isPublic: boolean }): Principal {
    const { apiKeySha256 } = this.#isolate.settingsOf(c.env).config;
    const principal = principalOf(c.req.raw.headers.get('authorization'), apiKeySha256);
    if (!isPublic && principal.kind === 'anonymous') throw keyNeeded();
    return principal;
  }

  /** Reads a view's answer from the database. */
  loadView(c: Context<AppEnv>, ...asked: Parameters<CachedReads['load']>): ReturnType<CachedReads['load']> {
    return this.#isolate.settingsOf(c.env).reads.load(...asked);
  }

  /** The services of a request. Made here and not in a middleware: each of those costs two microseconds. */
  servicesOf(c: Context<AppEnv>): Services {
    const made = c.get('services');
    if (made !== undefined) return made;
    const services = createServices(this.#isolate, c.env, new GatewayScope(c), LINEAGE_PAUSE_MS);
    c.set('services', services);
    return services;
  }

  /** Middleware that asks for the key. */
  readonly authorize = authorizeBy((c) => this.admit(c, { isPublic: false }));

  /** Middleware that asks for the key unless the path decides by itself. */
  readonly closedByDefault = closedByDefault((c) => this.admit(c, { isPublic: false }));
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
