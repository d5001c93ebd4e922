import type { Context } from 'hono';
import { formatTraceparent } from '../platform/tracing/context.ts';
import {
  type Exemplar,
  type RequestTrace,
  spanOf,
  type TracedHandler,
} from '../platform/tracing/request-trace.ts';
import type { AppEnv } from './context.ts';

/** Begins the trace of a request; undefined if nothing is traced. It runs on every warm hit, and never throws. */
export type TraceRequest = (
  request: Request,
  env: object,
  ctx: TracedHandler['ctx'],
  startedMs: number,
) => RequestTrace | undefined;

/** Ends the trace of a request with its answer, which names the span if it is exported. */
export function endTrace(
  trace: RequestTrace,
  [method, route]: readonly [method: string, route: string],
  answer: Response,
): Exemplar | undefined {
  const cache = () => answer.headers.get('cache-status');
  const exported = trace.answered({ method, route, status: answer.status, cache });
  if (exported === undefined) return undefined;
  try {
    answer.headers.set('traceresponse', formatTraceparent({ ...exported, isSampled: true }));
  } catch {
    // The headers of an answer that the platform made cannot be changed.
  }
  return exported;
}

/** The ids of a request's trace, for a line of the log; nothing where it is not traced. */
export function traceFields(c: Context<AppEnv>): {
  readonly 'trace.id'?: string;
  readonly 'span.id'?: string;
} {
  try {
    const { context } = spanOf(c.executionCtx);
    return context === undefined ? {} : { 'trace.id': context.traceId, 'span.id': context.spanId };
  } catch {
    // Hono has no context for a request that a test makes without one.
    return {};
  }
}
