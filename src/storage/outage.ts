import { Failure } from '../platform/failure.ts';
import { classifyFault } from './postgres/connect.ts';

/** Wrappers that drivers and stubs put around an error. */
const CAUSES_MAX = 5;

/**
 * Whether an error tells of something that is away and may come back: the database, or a Durable Object, which says
 * so by `retryable` or `overloaded` (Durable Objects, "Error handling"). False where it does not tell.
 */
export function isOutage(error: unknown): boolean {
  for (let cause = error, depth = 0; cause instanceof Error && depth < CAUSES_MAX; depth += 1) {
    if (cause instanceof Failure) return cause.retryAfterS !== undefined;
    if (classifyFault(cause) === 'unavailable' || isObjectAway(cause)) return true;
    cause = cause.cause;
  }
  return false;
}

/** Whether a Durable Object says by an error that it does not answer now and may do so later. */
export function isObjectAway(error: unknown): boolean {
  return (
    error instanceof Error && ['retryable', 'overloaded'].some((word) => Reflect.get(error, word) === true)
  );
}
