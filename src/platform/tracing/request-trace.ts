import { log, traceOf } from '../logger.ts';
import { parseTraceparent } from './context.ts';
import { traceIdOf } from './sampler.ts';
import { NO_SPAN, type Span } from './span.ts';
import type { LocalTrace, RecordedSpan } from './trace.ts';
import type { Tracing } from './tracing.ts';

/** The Elastic Common Schema has durations in nanoseconds. */
const NS_OF_MS = 1_000_000;

/** What the platform passes to a handler of requests, and when. */
export interface TracedHandler {
  readonly request: Pick<Request, 'headers'>;
  readonly ctx: {
    waitUntil(promise: Promise<unknown>): void;
    passThroughOnException(): void;
    readonly props?: unknown;
  };
  /** When the request arrived, in milliseconds since the Unix epoch. */
  readonly startedMs: number;
}

/** How a request ended: its route is known only then. */
export interface Answered {
  readonly method: string;
  /** The path of the route, as the OpenAPI document has it. */
  readonly route: string;
  readonly status: number;
  /** Reads the header `Cache-Status` (RFC 9211), which names the tier that has answered: only of a trace that is kept. */
  readonly cache?: () => string | null;
}

/** The span of a request that is exported: what an exemplar of a metric names. */
export interface Exemplar {
  readonly traceId: string;
  readonly spanId: string;
}

/**
 * The trace of one request. It takes the place of the platform's context of the request, so that whoever is handed the one
 * has the other. A warm hit that is not kept makes no span and no id: it reads `traceparent`, and draws a number.
 *
 * The sampler decides first. A request that fails with 5xx or is slow is kept regardless, with what this isolate has
 * recorded of it; calls to other isolates carry the first decision.
 */
export class RequestTrace {
  readonly isSampled: boolean;
  readonly #tracing: Tracing;
  readonly #handler: TracedHandler;
  readonly #draw: number;
  /** The header `traceparent`, as it was read; undefined while it was not. */
  #incoming: string | null | undefined;
  #trace: LocalTrace | undefined;
  #span: RecordedSpan | undefined;

  constructor(tracing: Tracing, handler: TracedHandler) {
    const { sampler } = tracing;
    this.#tracing = tracing;
    this.#handler = handler;
    this.#draw = tracing.random();
    if (sampler.readsParent) this.#incoming = handler.request.headers.get('traceparent');
    this.isSampled = this.#incoming == null ? sampler.ofDraw(this.#draw) : this.#isSampledBy(this.#incoming);
  }

  /** The span of the request; its first use makes it. */
  get span(): Span {
    return this.#begun();
  }

  get props(): unknown {
    return this.#handler.ctx.props;
  }

  waitUntil(promise: Promise<unknown>): void {
    this.#handler.ctx.waitUntil(promise);
  }

  passThroughOnException(): void {
    this.#handler.ctx.passThroughOnException();
  }

  /** Ends the span of the request, and decides whether the trace is kept. @returns the span, if it is. */
  answered({ method, route, status, cache }: Answered): Exemplar | undefined {
    const isFailed = status >= 500;
    const isKept =
      this.isSampled || isFailed || this.#tracing.now() - this.#handler.startedMs >= this.#tracing.slowMs;
    if (!isKept) {
      this.#trace?.decide(false);
      return undefined;
    }
    const span = this.#begun();
    span.rename(`${method} ${route}`);
    if (isFailed) span.fail(undefined);
    span.set({
      'http.request.method': method === 'other' ? '_OTHER' : method,
      'http.route': route,
      'http.response.status_code': status,
      'http.response.header.cache-status': cache?.() ?? undefined,
      ...(isFailed ? { 'error.type': String(status) } : {}),
    });
    span.end();
    this.#trace?.decide(true);
    if (this.#tracing.logsRequests)
      log('info', 'A request was answered.', {
        ...{ 'http.request.method': method, 'millrace.route': route, 'http.response.status_code': status },
        'event.duration': (this.#tracing.now() - this.#handler.startedMs) * NS_OF_MS,
        'millrace.cache.status': cache?.(),
        ...traceOf(span),
      });
    return span.context;
  }

  /** Most callers that trace do not record: such a header is not parsed, unless something else needs its ids. */
  #isSampledBy(incoming: string): boolean {
    const { sampler } = this.#tracing;
    if (sampler.followsParent && isUnsampled(incoming)) return false;
    const parent = parseTraceparent(incoming);
    return parent === undefined
      ? sampler.ofDraw(this.#draw)
      : sampler.ofParent(parent.traceId, parent.isSampled);
  }

  #begun(): RecordedSpan {
    if (this.#span !== undefined) return this.#span;
    const { ctx, startedMs } = this.#handler;
    if (this.#incoming === undefined) this.#incoming = this.#handler.request.headers.get('traceparent');
    const parent = parseTraceparent(this.#incoming);
    const id = parent?.traceId ?? traceIdOf(this.#draw, this.#tracing.random);
    const keepAlive = (work: Promise<unknown>) => this.waitUntil(work);
    this.#trace = this.#tracing.trace(id, this.isSampled, keepAlive, ctx);
    this.#span = this.#trace.begin({ name: 'request', kind: 'server' }, parent, { startMs: startedMs });
    return this.#span;
  }
}

/** The length of `traceparent` of version 0, and how it begins and ends where the caller does not record. */
const [VERSION_0_CHARACTERS, VERSION_0, UNSAMPLED] = [55, '00-', '-00'] as const;

function isUnsampled(incoming: string): boolean {
  return (
    incoming.length === VERSION_0_CHARACTERS && incoming.endsWith(UNSAMPLED) && incoming.startsWith(VERSION_0)
  );
}

/** The span of the request that a context belongs to. */
export function spanOf(ctx: object): Span {
  return ctx instanceof RequestTrace ? ctx.span : NO_SPAN;
}
