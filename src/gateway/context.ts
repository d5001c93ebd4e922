import type { Context, MiddlewareHandler } from 'hono';
import type { Catalog } from '../define/catalog.ts';
import type { Principal } from '../define/principal.ts';
import { newId } from '../platform/ids.ts';
import type { Action, Step, SteppedAction } from './audit/ports.ts';
import type { Charge, Standing } from './limits/charging.ts';
import type { Guard } from './principals/guard.ts';

/** The members of hono's context for handlers. */
export interface AppEnv {
  /** The platform's bindings. Routes do not read them; they ask for their ports. */
  Bindings: object;
  Variables: {
    requestId?: string;
    /** Set on every route that requires a key. */
    principal?: Principal;
    /** Set by a route of `/v1/admin` that has recorded its change. */
    isAudited?: boolean;
    /** The budget that the request was charged to; absent for a sender without a limit. */
    standing?: Standing;
  };
}

/** The argument with which every route is registered. */
export interface Gateway {
  readonly catalog: Catalog;
  /** Counts a request of a deprecated version or route. */
  readonly noteDeprecated: (c: Context<AppEnv>, version: string) => void;
  /** Middleware that requires a key with the scope of the route. */
  readonly authorize: MiddlewareHandler<AppEnv>;
  /**
   * The sender of a request for a public or a protected resource.
   *
   * @throws Failure `unauthorized` for a protected resource without a credential, and for a wrong credential;
   *   `insufficient_scope`. Call it first.
   */
  readonly admit: (c: Context<AppEnv>, guard: Guard) => Principal | Promise<Principal>;
  /** Records a change of a route of `/v1/admin` before and after its effect. */
  readonly audited: <Result>(
    c: Context<AppEnv>,
    action: Action,
    effect: () => Promise<{ readonly result: Result; readonly after: unknown }>,
  ) => Promise<Result>;
  /** Records a change of a route of `/v1/admin` that takes many requests, before the first and after the last of them. */
  readonly auditedSteps: <Result>(
    c: Context<AppEnv>,
    action: SteppedAction,
    step: () => Promise<Step<Result>>,
  ) => Promise<Result>;
  /**
   * Charges the request to the budget of its sender: of the key that was admitted, else of the address. Call it before the
   * work, and again when it is known how much there is.
   *
   * @throws Failure `rate_limited`
   */
  readonly charge: (c: Context<AppEnv>, charge: Charge) => Promise<void>;
}

/** The parts of hono's context that a cached read uses, so that it can be answered without hono. */
export interface ReadContext {
  readonly req: { readonly raw: Request; readonly url: string };
  readonly env: object;
  readonly executionCtx: { waitUntil(promise: Promise<unknown>): void };
}

/** How a route gets its ports. They are made for one request. */
export type PortsOf<Ports> = (c: Context<AppEnv>) => Ports;

/** The id of a request in logs and problems: the platform's, else a new one. */
export function requestIdOf(c: Context<AppEnv>): string {
  const known = c.get('requestId') ?? idOfRequest(c.req.raw.headers);
  c.set('requestId', known);
  return known;
}

/** As `requestIdOf`, from the headers of a request that needs its id once. */
export function idOfRequest(headers: Headers): string {
  return headers.get('cf-ray') ?? newId();
}
