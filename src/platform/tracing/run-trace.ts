import type { TraceContext } from './context.ts';

const RUN = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[89ab][\da-f]{3}-[\da-f]{12}$/;

/**
 * The trace of a run of hours, whose id is a UUID (RFC 9562): its ids are digits of that one. So whoever knows the run, such
 * as a model that it has made, knows its trace. Undefined for any other text.
 */
export function contextOfRun(id: unknown): TraceContext | undefined {
  if (typeof id !== 'string' || !RUN.test(id)) return undefined;
  const digits = id.replaceAll('-', '');
  // The digits of the variant are never 0.
  return { traceId: digits, spanId: digits.slice(16), isSampled: true };
}
