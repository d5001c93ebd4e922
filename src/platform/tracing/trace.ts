import type { Now } from '../clock.ts';
import type { Random } from '../random.ts';
import type { TraceContext } from './context.ts';
import { newSpanId } from './sampler.ts';
import type { Attributes, Span, SpanKind, SpanOf } from './span.ts';

/** A span that has ended. Times are in milliseconds since the Unix epoch. */
export interface FinishedSpan extends SpanOf {
  readonly traceId: string;
  readonly spanId: string;
  /** Undefined for the first span of a trace. */
  readonly parent: TraceContext | undefined;
  readonly isParentRemote: boolean;
  readonly kind: SpanKind;
  readonly attributes: Attributes;
  readonly links: readonly TraceContext[];
  readonly isFailed: boolean;
  readonly startMs: number;
  readonly endMs: number;
}

/** The most spans of one trace that wait for its decision, and the most links of a span. */
export const TRACE_SPANS_MAX = 512;
export const SPAN_LINKS_MAX = 128;

/** The platform's own tracing of the request that runs, where it records it. */
export interface PlatformTracing {
  /** Runs work inside a span of the platform, which gets the attributes once the work has ended. */
  enter<T>(name: string, attributes: () => Attributes, work: () => Promise<T>): Promise<T>;
}

export interface TracePorts {
  readonly now: Now;
  readonly random: Random;
  /** Takes spans that are to be exported. */
  readonly take: (spans: readonly FinishedSpan[]) => void;
  /** Counts spans that were not kept, because a trace had too many. */
  readonly lost: (spans: number) => void;
  readonly platform?: PlatformTracing | undefined;
}

/**
 * The spans of one trace that one request, batch or call records in this isolate. They are exported once it is decided that
 * the trace is kept; a span that ends after that, such as one of work behind the answer, follows.
 */
export class LocalTrace {
  readonly id: string;
  readonly isSampled: boolean;
  readonly ports: TracePorts;
  #waiting: FinishedSpan[] = [];
  #isKept: boolean | undefined;

  constructor(id: string, isSampled: boolean, ports: TracePorts) {
    this.id = id;
    this.isSampled = isSampled;
    this.ports = ports;
  }

  /**
   * Begins the span that the others are within.
   *
   * @param parent the span of the caller, in another service or isolate.
   * @param at when it began, and its id, where these are not of now.
   */
  begin(
    of: SpanOf,
    parent: TraceContext | undefined,
    { startMs = this.ports.now(), spanId }: { readonly startMs?: number; readonly spanId?: string } = {},
  ): RecordedSpan {
    return new RecordedSpan(this, of, { parent, isParentRemote: parent !== undefined }, startMs, spanId);
  }

  ended(span: FinishedSpan): void {
    if (this.#isKept === true) this.ports.take([span]);
    else if (this.#isKept === undefined) {
      if (this.#waiting.length < TRACE_SPANS_MAX) this.#waiting.push(span);
      else this.ports.lost(1);
    }
  }

  /** Decides whether the spans are exported. The first decision counts. */
  decide(isKept: boolean): void {
    if (this.#isKept !== undefined) return;
    this.#isKept = isKept;
    const waiting = this.#waiting;
    this.#waiting = [];
    if (isKept && waiting.length > 0) this.ports.take(waiting);
  }
}

/** A span that is recorded. */
export class RecordedSpan implements Span {
  readonly isRecording = true;
  readonly context: TraceContext;
  readonly #trace: LocalTrace;
  readonly #origin: Pick<FinishedSpan, 'parent' | 'isParentRemote'>;
  readonly #startMs: number;
  readonly #kind: SpanKind;
  readonly #links: TraceContext[] = [];
  #name: string;
  #attributes: Attributes;
  #isFailed = false;
  #hasEnded = false;

  constructor(
    trace: LocalTrace,
    { name, kind = 'internal', attributes = {} }: SpanOf,
    origin: Pick<FinishedSpan, 'parent' | 'isParentRemote'>,
    startMs: number,
    spanId = newSpanId(trace.ports.random),
  ) {
    this.#trace = trace;
    this.#name = name;
    this.#kind = kind;
    this.#attributes = attributes;
    this.#origin = origin;
    this.#startMs = startMs;
    this.context = {
      traceId: trace.id,
      spanId,
      isSampled: trace.isSampled,
    };
  }

  child(of: SpanOf): Span {
    const origin = { parent: this.context, isParentRemote: false };
    return new RecordedSpan(this.#trace, of, origin, this.#trace.ports.now());
  }

  /** Gives the span a name that was not known when it began. */
  rename(name: string): void {
    this.#name = name;
  }

  set(attributes: Attributes): void {
    this.#attributes = { ...this.#attributes, ...attributes };
  }

  link(context: TraceContext): void {
    if (this.#links.length < SPAN_LINKS_MAX) this.#links.push(context);
  }

  /** The type of an error and its code say what failed. A message may name a person. */
  fail(error: unknown): void {
    this.#isFailed = true;
    this.set({ 'error.type': errorTypeOf(error) });
  }

  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    const { traceId, spanId } = this.context;
    this.#trace.ended({
      ...{ traceId, spanId, ...this.#origin, name: this.#name, kind: this.#kind },
      ...{ attributes: this.#attributes, links: this.#links, isFailed: this.#isFailed },
      startMs: this.#startMs,
      endMs: this.#trace.ports.now(),
    });
  }

  onPlatform<T>(work: () => Promise<T>): Promise<T> {
    const { platform } = this.#trace.ports;
    return platform === undefined ? work() : platform.enter(this.#name, () => this.#attributes, work);
  }
}

const ERROR_TYPE = /^[\w.]{1,64}$/;

/** The code of a failure, else the class of the error: `error.type` has few values. */
function errorTypeOf(error: unknown): string {
  if (!(error instanceof Error)) return '_OTHER';
  const code: unknown = Reflect.get(error, 'code');
  const type = typeof code === 'string' ? code : error.name;
  return ERROR_TYPE.test(type) ? type : '_OTHER';
}
