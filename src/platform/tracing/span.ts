import type { TraceContext } from './context.ts';

/** Kinds of OpenTelemetry's API. */
export type SpanKind = 'internal' | 'server' | 'client' | 'producer' | 'consumer';

/**
 * Attributes of a span, by the names of OpenTelemetry's semantic conventions, or `millrace.…`. No value may name a person:
 * routes and not addresses, names of declarations and not keys.
 */
export type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

/** What a span is called and what it is, of a number of names that the catalog bounds. */
export interface SpanOf {
  readonly name: string;
  readonly kind?: SpanKind;
  readonly attributes?: Attributes;
}

/**
 * A span, as the code that it describes sees it. It is handed on like any other port, so that concurrent requests of an
 * isolate cannot mix their spans.
 */
export interface Span {
  /** Whether anything is recorded. */
  readonly isRecording: boolean;
  /** The context that a call or a message of this span carries; undefined if nobody records the trace. */
  readonly context: TraceContext | undefined;
  /** Begins a span within this one. */
  child(of: SpanOf): Span;
  set(attributes: Attributes): void;
  /** Names a span of another trace that this one continues or serves. */
  link(context: TraceContext): void;
  /** Marks the span as failed. */
  fail(error: unknown): void;
  /** Ends the span; a later call does nothing. */
  end(): void;
  /** Runs work inside a span of the platform's own tracing as well, where that records this request. */
  onPlatform<T>(work: () => Promise<T>): Promise<T>;
}

/** The span of work that nobody traces. */
export const NO_SPAN: Span = {
  isRecording: false,
  context: undefined,
  child: () => NO_SPAN,
  set: () => undefined,
  link: () => undefined,
  fail: () => undefined,
  end: () => undefined,
  onPlatform: (work) => work(),
};

/** Runs work in a span of its own, which ends with it. */
export async function within<T>(parent: Span, of: SpanOf, work: (span: Span) => Promise<T>): Promise<T> {
  if (!parent.isRecording) return await work(NO_SPAN);
  const span = parent.child(of);
  try {
    return await span.onPlatform(() => work(span));
  } catch (error) {
    span.fail(error);
    throw error;
  } finally {
    span.end();
  }
}

/** An object whose methods each run in a span named `<subject> <method>`; the object itself without a trace. */
export function spanned<Port extends object>(parent: Span, subject: string, port: Port): Port {
  if (!parent.isRecording) return port;
  return new Proxy(port, {
    get(target, method) {
      const member: unknown = Reflect.get(target, method, target);
      if (typeof member !== 'function' || typeof method === 'symbol') return member;
      const of = { name: `${subject} ${method}`, kind: 'client' } as const;
      return (...sent: unknown[]) =>
        within(parent, of, async () => await Reflect.apply(member, target, sent));
    },
  });
}
