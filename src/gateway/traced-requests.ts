import type { Context } from 'hono';
import { type LogFields, traceOf } from '../platform/logger.ts';
import { formatTraceparent } from '../platform/tracing/context.ts';
import {
  type Exemplar,
  type RequestTrace,
  spanOf,
  type TracedHandler,
} from '../platform/tracing/request-trace.ts';
import { NO_SPAN, type Span } from '../platform/tracing/span.ts';
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

/** The span of a request; of one that a test makes without a context, none. */
export function spanOfRequest(c: Context<AppEnv>): Span {
  try {
    return spanOf(c.executionCtx);
  } catch {
    // Hono has no context for such a request.
    return NO_SPAN;
  }
}

/** The ids of a request's trace, for a line of the log; nothing where it is not traced. */
export function traceFields(c: Context<AppEnv>): Pick<LogFields, 'trace.id' | 'span.id'> {
  return traceOf(spanOfRequest(c));
}
