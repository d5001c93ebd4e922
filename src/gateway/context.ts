import type { Context, MiddlewareHandler } from 'hono';
import type { Catalog } from '../define/catalog.ts';
import type { Principal } from '../define/principal.ts';
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
  /**
   * Who sends a request for something that is public or not.
   *
   * @throws Failure `unauthorized` for a stranger to what is closed, and for a wrong credential. To be called first.
   */
  readonly admit: (c: Context<AppEnv>, to: { readonly isPublic: boolean }) => Principal;
}

/** How a route gets its ports. They are made for one request. */
export type PortsOf<Ports> = (c: Context<AppEnv>) => Ports;

/** The id of a request in logs and problems: the platform's, else a new one. */
export function requestIdOf(c: Context<AppEnv>): string {
  const known = c.get('requestId') ?? c.req.header('cf-ray') ?? newId();
  c.set('requestId', known);
  return known;
}
