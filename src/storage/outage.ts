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
    // Of the driver's errors, those without an SQLSTATE are of the connection.
    if (cause.name === 'NeonDbError') return classifyFault(cause) === 'unavailable';
    if ('retryable' in cause && cause.retryable === true) return true;
    if ('overloaded' in cause && cause.overloaded === true) return true;
    cause = cause.cause;
  }
  return false;
}
