/** A position in a trace (W3C Trace Context, level 2). */
export interface TraceContext {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** Two hexadecimal digits; bit 0 says that the caller may have recorded the trace. */
  readonly flags: string;
}

const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})$/;

/**
 * The trace of a call: that of `traceparent`, if it is valid, else a new one. A new trace is marked as recorded, so that
 * a server that samples by its caller records it.
 */
export function traceOf(traceparent: string | undefined, newId: () => string): TraceContext {
  const [, traceId, flags] = TRACEPARENT.exec(traceparent ?? '') ?? [];
  return traceId === undefined || flags === undefined
    ? { traceId: newId().replaceAll('-', ''), flags: '01' }
    : { traceId, flags };
}

/** The header `traceparent` of one attempt, which is a span of its own. */
export function traceparentOf({ traceId, flags }: TraceContext, newId: () => string): string {
  return `00-${traceId}-${newId().replaceAll('-', '').slice(16)}-${flags}`;
}
