import { expected, ROUTES, type Route, TROUBLES, type TroubledPeer } from '../../test/support/peers/table.ts';

/** What the load of an experiment does, and what the contract states for it. No I/O. */

export const OPERATIONS = ['bounded read', 'strong read', 'write', 'event', 'prediction'] as const;
export type Operation = (typeof OPERATIONS)[number];

/** The routes of the table of failures that a request of an operation may take, by what the caches have at that moment. */
const ROUTES_OF: Readonly<Record<Operation, readonly Route[]>> = {
  'bounded read': ['cached view', 'invalidated view', 'view, not cached', 'view, new isolate'],
  'strong read': ['cached view, strong', 'invalidated view, strong', 'view, not cached'],
  write: ['PUT'],
  event: ['event'],
  // The model of the load declares a fallback.
  prediction: ['prediction, model loaded', 'prediction, model not loaded, with a fallback'],
};

/** What may answer a request. */
export interface Stated {
  /** The statuses of refusals. An answer is always allowed. */
  readonly refusals: ReadonlySet<number>;
  /** Within this time, in milliseconds on a machine that keeps up. */
  readonly withinMs: number;
}

/**
 * What docs/operations.md states for an operation while peers are in trouble, whatever the trouble: a real fault makes some
 * calls hang, some late and some fail. The waits for several peers add up.
 */
export function statedFor(operation: Operation, peers: readonly TroubledPeer[]): Stated {
  const routes = ROUTES_OF[operation];
  const usual = new Set<number>(routes.map((route) => ROUTES[route]));
  const cellsOf = (peer: TroubledPeer) =>
    routes.flatMap((route) => TROUBLES.map((trouble) => expected(peer, trouble, route)));
  const statuses = peers.flatMap((peer) => cellsOf(peer).map(({ status }) => status));
  const waits = peers.map((peer) => Math.max(...cellsOf(peer).map(({ withinMs }) => withinMs)));
  const usualMs = 1_000;
  return {
    refusals: new Set(statuses.filter((status) => !usual.has(status))),
    withinMs: Math.max(
      usualMs,
      waits.reduce((sum, ms) => sum + ms, 0),
    ),
  };
}

/** The same for every operation: it is asked for each of thousands of answers. */
export function statedForAll(peers: readonly TroubledPeer[]): (operation: Operation) => Stated {
  const all = new Map(OPERATIONS.map((operation) => [operation, statedFor(operation, peers)]));
  return (operation) => all.get(operation) ?? statedFor(operation, peers);
}

/** Operations whose answer may be a stand-in that says so. */
export function mayBeMarked(operation: Operation): boolean {
  return operation !== 'write' && operation !== 'event';
}
