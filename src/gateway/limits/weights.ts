import type { Lane } from '../../limits/policy.ts';
import type { CostClass } from '../route-rules.ts';

/**
 * CPU time in milliseconds, as measured (docs/benchmarks.md). A request is charged for what it makes the worker, the objects
 * and the database do.
 */
export const MEASURED_MS = {
  /** An answer from the isolate's memory: the unit. */
  hit: 0.05,
  /** A read of the database that fills an entry. */
  fill: 3.4,
  /** A request that reads the database and is not cached: a status, a list of the quarantine, a `PUT`. */
  statement: 3,
  /** A read of features: for the request, and for each key. */
  features: 2,
  featuresOfKey: 0.2,
  /** A prediction: for the request with the features that it reads, and for each item or row. */
  prediction: 4,
  predictionOfItem: 0.06,
  /** An event: for the request with its message, and for each event until it is folded. */
  event: 1,
  eventOfBatch: 0.3,
  /** An `Idempotency-Key`: two calls of the object that keeps the answer, two digests and the sealing of the answer. */
  idempotencyKey: 2.2,
} as const;
type Measured = keyof typeof MEASURED_MS;

/** What a measured step costs, in units. */
export function unitsOf(what: Measured, times = 1): number {
  return Math.ceil((MEASURED_MS[what] / MEASURED_MS.hit) * times);
}

/** What a request of a class costs, in units, before it is known how much it asks for. */
export const BASE_UNITS: Readonly<Record<CostClass, number>> = {
  health: unitsOf('statement'),
  description: unitsOf('hit'),
  read: unitsOf('statement'),
  features: unitsOf('features'),
  prediction: unitsOf('prediction'),
  event: unitsOf('event'),
  write: unitsOf('statement'),
  operation: unitsOf('statement'),
};

/** The most items or rows that a prediction is charged for; a body has no more. */
const ITEMS_MAX = 100_000;

/** What a prediction costs for so many items or rows, as far as the request states them. */
export function predictionUnits(items: unknown): number {
  const stated = typeof items === 'number' && Number.isFinite(items) ? items : 1;
  return unitsOf('prediction') + unitsOf('predictionOfItem', Math.min(Math.max(stated, 1), ITEMS_MAX));
}

/** What a key costs that the isolate has to look up. */
export const LOOKUP_UNITS = unitsOf('statement');
/** What a well-formed key costs that does not exist: its address may try 20 of them, and then two a second. */
export const UNKNOWN_KEY_UNITS = 400;
/** What a refused credential costs otherwise. */
export const REFUSED_UNITS = 5;

/** The lane of each class. */
export const LANE_OF: Readonly<Record<CostClass, Lane>> = {
  health: 'operation',
  description: 'read',
  read: 'read',
  features: 'read',
  prediction: 'read',
  event: 'write',
  write: 'write',
  operation: 'operation',
};
