import { Failure } from '../platform/failure.ts';
import { classifyFault } from './postgres/connect.ts';

/** The most wrappers of an error that are unwrapped. Drivers and stubs add some. */
const CAUSES_MAX = 5;

/**
 * Whether an error is an outage that may pass: of the database, or of a Durable Object, which marks it by `retryable`
 * or `overloaded` (Durable Objects, "Error handling"). False for an error that does not say so.
 */
export function isOutage(error: unknown): boolean {
  for (let cause = error, depth = 0; cause instanceof Error && depth < CAUSES_MAX; depth += 1) {
    if (cause instanceof Failure) return cause.retryAfterS !== undefined;
    if (classifyFault(cause) === 'unavailable' || isObjectAway(cause)) return true;
    cause = cause.cause;
  }
  return false;
}

/** Whether a Durable Object's error says that the object is unavailable and a retry may succeed. */
export function isObjectAway(error: unknown): boolean {
  return (
    error instanceof Error && ['retryable', 'overloaded'].some((word) => Reflect.get(error, word) === true)
  );
}
