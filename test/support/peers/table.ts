/**
 * What a client gets, and within what time, while a peer hangs, answers 10 s late, or fails. `test/e2e/peers.long.test.ts`
 * checks it on the built worker, and docs/operations.md shows it.
 */

export const TROUBLES = ['hang', 'late', 'fail'] as const;
/** `wrong`: it answers at once, with bytes of another format. */
export type Trouble = (typeof TROUBLES)[number] | 'wrong';

/** The status of each route while no peer is in trouble. */
export const ROUTES = {
  'cached view': 200,
  'cached view, strong': 200,
  'invalidated view': 200,
  'invalidated view, strong': 200,
  'view, not cached': 200,
  'view, new isolate': 200,
  'cached list': 200,
  'invalidated list': 200,
  'cached model path': 200,
  'invalidated model path': 200,
  'model path, not cached': 200,
  'prediction, model loaded': 200,
  'prediction, model not loaded, with a fallback': 200,
  'prediction, model not loaded': 200,
  'features read': 200,
  'live feed': 200,
  'status of an event': 404,
  event: 202,
  'event, `Prefer: wait`': 201,
  PUT: 200,
  'PUT, `Idempotency-Key`': 200,
  DELETE: 204,
  purge: 200,
  'start of a training': 202,
  'sweep of the outbox': 200,
  'report on the pipeline': 200,
  'digest of the features': 200,
  'list of the quarantine': 200,
  'report on Kafka': 200,
  'statistics of the cache': 200,
  'lineage events': 200,
  quality: 200,
  'metrics of Prometheus': 200,
  '/health/ready': 200,
  '/health/live': 200,
} as const;
export type Route = keyof typeof ROUTES;

/** Reads that a cache can answer for any reader: always 200, within a second. */
export const ANSWERABLE: readonly Route[] = [
  'cached view',
  'cached view, strong',
  'invalidated view',
  'view, new isolate',
  'cached list',
  'invalidated list',
  'cached model path',
  'invalidated model path',
];

/** A status, and the time within which it comes, in milliseconds. */
export interface Cell {
  readonly status: number;
  readonly withinMs: number;
}

/** Within this time every route answers that the table does not list, in milliseconds. */
export const SOON_MS = 1_000;

/** While the peer hangs or answers 10 s late, and while it fails. */
interface Exception {
  readonly silent: Cell;
  /** Where a deadline is longer than 10 s, so that the late answer is waited for. */
  readonly late?: Cell;
  readonly fail: Cell;
}

function cell(status: number, withinMs: number = SOON_MS): Cell {
  return { status, withinMs };
}

/** The same answer, at once where the peer fails. */
function both(status: number, silentMs: number = SOON_MS): Exception {
  return { silent: cell(status, silentMs), fail: cell(status) };
}

/** The late answer is waited for. */
function waiting(status: number, silentMs: number): Exception {
  return { silent: cell(status, silentMs), late: cell(200, 12_000), fail: cell(status) };
}

const FEATURES_AWAY = both(503);

/** By peer, the routes whose answers are other than usual, or later than within a second. */
export const TABLE = {
  'root-clock': {
    'event, `Prefer: wait`': both(202, 12_000),
    PUT: both(503, 6_000),
    'PUT, `Idempotency-Key`': both(503, 6_000),
    DELETE: both(503, 6_000),
    purge: both(503, 6_000),
    // It waits for the sweep that runs, and for its own.
    'sweep of the outbox': both(503, 11_000),
    '/health/ready': both(503),
  },
  'regional-clock': {},
  'fill-gate': {},
  'feature-shard': {
    'event, `Prefer: wait`': both(202, 6_000),
    'model path, not cached': FEATURES_AWAY,
    'prediction, model not loaded': FEATURES_AWAY,
    'features read': FEATURES_AWAY,
    'report on the pipeline': both(503, 3_000),
    'digest of the features': waiting(503, 31_000),
  },
  'outbox-relay': {
    'event, `Prefer: wait`': both(503, 6_000),
    'sweep of the outbox': waiting(503, 31_000),
  },
  'cache-stats': {
    'statistics of the cache': both(503, 3_000),
    'metrics of Prometheus': both(503, 3_000),
  },
  'quality-window': {
    quality: both(503, 3_000),
    'metrics of Prometheus': both(503, 3_000),
  },
  'change-feed': {
    'live feed': both(503),
    'metrics of Prometheus': both(200, 3_000),
  },
  'queued-events': {},
  'rate-limiter': {},
  idempotency: {
    'PUT, `Idempotency-Key`': both(503, 2_000),
  },
  datasets: {},
  'training-runs': { 'start of a training': both(503, 6_000) },
  rollouts: {},
  feedback: {},
  'drift-watches': {},
  alerts: {},
  queue: {
    event: both(503, 6_000),
    // It waits for the sweep that runs, and for the invalidation of its own.
    'event, `Prefer: wait`': both(201, 7_000),
    // It waits for the sweep that runs and for its own.
    'sweep of the outbox': both(503, 11_000),
  },
  kv: {},
  'colo-cache': {},
  artifacts: {
    'prediction, model not loaded': both(503, 6_000),
    '/health/ready': both(503),
  },
  kafka: {
    // The client tries a call that fails six times, for longer than the deadline.
    'report on Kafka': { silent: cell(503, 3_000), fail: cell(503, 3_000) },
    'metrics of Prometheus': { silent: cell(200, 3_000), fail: cell(200, 3_000) },
  },
  'kafka-source': {
    'report on Kafka': both(200, 3_000),
    'metrics of Prometheus': both(200, 3_000),
  },
  database: {
    'invalidated view, strong': both(503, 11_000),
    'view, not cached': both(503, 11_000),
    'status of an event': both(503, 11_000),
    'event, `Prefer: wait`': both(202, 11_000),
    PUT: both(503, 11_000),
    'PUT, `Idempotency-Key`': both(503, 11_000),
    DELETE: both(503, 11_000),
    // Their entries in the audit log are waited for this long.
    purge: both(503, 4_000),
    'start of a training': both(503, 4_000),
    'sweep of the outbox': both(503, 4_000),
    'report on the pipeline': both(503, 11_000),
    'list of the quarantine': both(503, 11_000),
    'lineage events': both(503, 11_000),
    '/health/ready': both(503, 3_000),
  },
} as const satisfies Record<string, Partial<Record<Route, Exception>>>;
export type TroubledPeer = keyof typeof TABLE;

/** What a route has to answer. */
export function expected(peer: TroubledPeer, trouble: Trouble, route: Route): Cell {
  const exceptions: Partial<Record<Route, Exception>> = TABLE[peer];
  const exception = exceptions[route];
  if (exception === undefined) return cell(ROUTES[route]);
  const { silent, late = silent, fail } = exception;
  return { hang: silent, late, fail, wrong: fail }[trouble];
}

/** The table as the documentation shows it: a line for the routes of a peer that answer alike. */
export function asMarkdown(): string {
  const shown = ({ status, withinMs }: Cell) => `${status}, ${withinMs / 1_000} s`;
  const lines = Object.entries(TABLE).flatMap(
    ([peer, exceptions]: [string, Partial<Record<Route, Exception>>]) => {
      const alike = Map.groupBy(
        Object.entries(exceptions),
        ([, { silent, late = silent, fail }]) => `${shown(silent)} | ${shown(late)} | ${shown(fail)}`,
      );
      if (alike.size === 0) return [`| \`${peer}\` | none | | | |`];
      return [...alike].map(
        ([cells, routes]) => `| \`${peer}\` | ${routes.map(([route]) => route).join('; ')} | ${cells} |`,
      );
    },
  );
  const head = [
    '| peer | routes | it hangs | it answers 10 s late | it fails |',
    '| --- | --- | --- | --- | --- |',
  ];
  return [...head, ...lines].join('\n');
}
