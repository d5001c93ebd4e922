/**
 * The context of a trace between services, as W3C Trace Context (Recommendation, and level 2 for later versions) writes it
 * in the header `traceparent`. Millrace forwards no `tracestate`: its calls reach its own objects and queues alone.
 */
export interface TraceContext {
  /** 32 hexadecimal digits in lower case, not all zero. */
  readonly traceId: string;
  /** 16 hexadecimal digits in lower case, not all zero. */
  readonly spanId: string;
  /** Whether the caller records the trace. */
  readonly isSampled: boolean;
}

const VERSION_0 = /^00-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}$/;
/** A later version may have more members behind those of version 0; `ff` is no version. */
const LATER = /^(?!00|ff)[\da-f]{2}-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}(?:-|$)/;
/** No header of a known version is longer, and a longer one is not parsed. */
const CHARACTERS_MAX = 256;

/** The context in a `traceparent`; undefined if it is absent or not valid, which begins a new trace (§3.2.2.3, §4.3). */
export function parseTraceparent(text: string | null | undefined): TraceContext | undefined {
  if (text === null || text === undefined || text.length > CHARACTERS_MAX) return undefined;
  if (!VERSION_0.test(text) && !LATER.test(text)) return undefined;
  return {
    traceId: text.slice(3, 35),
    spanId: text.slice(36, 52),
    isSampled: (Number.parseInt(text.slice(53, 55), 16) & 1) === 1,
  };
}

/** `traceparent` of version 0. */
export function formatTraceparent({ traceId, spanId, isSampled }: TraceContext): string {
  return `00-${traceId}-${spanId}-${isSampled ? '01' : '00'}`;
}

/** The ids of a trace without its flags, in a message or a row; undefined for a context that is not sampled. */
export function sampledContext(text: string | null | undefined): TraceContext | undefined {
  const context = parseTraceparent(text);
  return context?.isSampled === true ? context : undefined;
}
