import type { Context, MiddlewareHandler } from 'hono';
import type { Catalog } from '../define/catalog.ts';
import { newId } from '../platform/ids.ts';

/** What a handler finds in hono's context. */
export interface AppEnv {
  /** The platform's bindings. Routes do not look into them: they ask for their ports. */
  Bindings: object;
  Variables: {
    requestId?: string;
  };
}

/** What every route is registered with. */
export interface Gateway {
  readonly catalog: Catalog;
  /** Middleware that requires the key. */
  readonly authorize: MiddlewareHandler<AppEnv>;
}

/** How a route gets its ports. They are made for one request. */
export type PortsOf<Ports> = (c: Context<AppEnv>) => Ports;

/** The id of a request in logs and problems: the platform's, else a new one. */
export function requestIdOf(c: Context<AppEnv>): string {
  const known = c.get('requestId') ?? c.req.header('cf-ray') ?? newId();
  c.set('requestId', known);
  return known;
}
