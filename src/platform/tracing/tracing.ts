import type { Now } from '../clock.ts';
import type { Random } from '../random.ts';
import { formatTraceparent, sampledContext, type TraceContext } from './context.ts';
import { type Sampler, traceIdOf } from './sampler.ts';
import { NO_SPAN, type Span, type SpanOf } from './span.ts';
import type { SpanQueue } from './span-queue.ts';
import { type FinishedSpan, LocalTrace, type PlatformTracing, type TracePorts } from './trace.ts';

/** The most traces of a batch that get a span of their own; events of further ones keep their context. */
export const BATCH_TRACES_MAX = 32;

/** Keeps work running behind an answer. */
export type KeepAlive = (work: Promise<unknown>) => void;

export interface TracingPorts {
  readonly now: Now;
  readonly random: Random;
  readonly sampler: Sampler;
  /** Exports spans; undefined where the platform alone records them. */
  readonly queue: Pick<SpanQueue, 'add'> | undefined;
  readonly lost: (spans: number) => void;
  /** The platform's tracing of what runs with a context; undefined where it does not record it. */
  readonly platformOf?: ((ctx: object) => PlatformTracing | undefined) | undefined;
  /** A request or a batch that takes this long is kept whatever the sampler says, in milliseconds. */
  readonly slowMs: number;
  /** Whether each request of a kept trace is a line of the log. */
  readonly logsRequests?: boolean;
}

/** Work that serves several traces. */
export interface BatchSpans {
  /** The span of the work itself, in the trace of the first event. */
  readonly work: Span;
  /** The context with which an event goes on whose context was this; the same without a span of its own. */
  readonly next: (traceparent: string | undefined) => string | undefined;
}

/** What is traced in an isolate, and how it is decided which traces are kept. */
export class Tracing {
  readonly sampler: Sampler;
  readonly slowMs: number;
  readonly logsRequests: boolean;
  readonly #ports: TracingPorts;

  constructor(ports: TracingPorts) {
    this.sampler = ports.sampler;
    this.slowMs = ports.slowMs;
    this.logsRequests = ports.logsRequests === true;
    this.#ports = ports;
  }

  get random(): Random {
    return this.#ports.random;
  }

  get now(): Now {
    return this.#ports.now;
  }

  /** @param ctx the platform's context of what runs, if there is one. */
  trace(id: string, isSampled: boolean, keepAlive: KeepAlive, ctx?: object): LocalTrace {
    const { now, random, queue, lost, platformOf } = this.#ports;
    const platform = ctx === undefined ? undefined : platformOf?.(ctx);
    const take = (spans: readonly FinishedSpan[]) => queue?.add(spans, keepAlive);
    return new LocalTrace(id, isSampled, { now, random, take, lost, platform } satisfies TracePorts);
  }

  /**
   * Runs a call that another isolate has sent with its context. The caller has decided that the trace is recorded.
   *
   * @param links what the call continues beside its caller, asked for once it has ended.
   */
  async serve<T>(
    of: SpanOf,
    caller: TraceContext,
    keepAlive: KeepAlive,
    work: () => Promise<T>,
    links: () => readonly TraceContext[],
  ): Promise<T> {
    const trace = this.trace(caller.traceId, true, keepAlive);
    trace.decide(true);
    const span = trace.begin({ kind: 'server', ...of }, caller);
    try {
      return await work();
    } catch (error) {
      span.fail(error);
      throw error;
    } finally {
      for (const link of links()) span.link(link);
      span.end();
    }
  }

  /**
   * Runs work that serves the events of several traces at once. Its span is within the trace of the first; each other
   * trace has a span of the same time that is linked with it, so every trace goes on unbroken. Without a context the work
   * begins a trace of its own.
   */
  async batch<T>(
    of: SpanOf,
    traceparents: Iterable<string | undefined>,
    keepAlive: KeepAlive,
    work: (spans: BatchSpans) => Promise<T>,
  ): Promise<T> {
    const contexts = distinctContexts(traceparents);
    const [first, ...others] = contexts;
    const startedMs = this.#ports.now();
    const draw = this.#ports.random();
    const isSampled = first !== undefined || this.sampler.ofDraw(draw);
    const trace = this.trace(
      first?.context.traceId ?? traceIdOf(draw, this.#ports.random),
      isSampled,
      keepAlive,
    );
    const span = trace.begin(of, first?.context, { startMs: startedMs });
    const next = new Map<string, string>();
    if (first !== undefined) next.set(first.text, formatTraceparent(span.context));
    const beside = others.map(({ text, context }) => {
      const other = this.trace(context.traceId, true, keepAlive);
      other.decide(true);
      const own = other.begin(of, context, { startMs: startedMs });
      own.link(span.context);
      span.link(context);
      next.set(text, formatTraceparent(own.context));
      return own;
    });
    let isFailed = false;
    try {
      const nextOf = (text: string | undefined) =>
        text === undefined ? undefined : (next.get(text) ?? text);
      return await work({ work: span, next: nextOf });
    } catch (error) {
      isFailed = true;
      for (const one of [span, ...beside]) one.fail(error);
      throw error;
    } finally {
      for (const one of [...beside, span]) one.end();
      trace.decide(isSampled || isFailed || this.#ports.now() - startedMs >= this.slowMs);
    }
  }
}

/** As `Tracing.batch`, also where nothing is traced: the events keep their contexts then. */
export async function inBatch<T>(
  tracing: Tracing | undefined,
  of: SpanOf,
  traceparents: Iterable<string | undefined>,
  keepAlive: KeepAlive,
  work: (spans: BatchSpans) => Promise<T>,
): Promise<T> {
  if (tracing === undefined) return await work({ work: NO_SPAN, next: (traceparent) => traceparent });
  return await tracing.batch(of, traceparents, keepAlive, work);
}

/** The `traceparent` of a span whose trace is recorded, for a message or a row; undefined for any other. */
export function carried({ context }: Pick<Span, 'context'>): string | undefined {
  return context?.isSampled === true ? formatTraceparent(context) : undefined;
}

interface Distinct {
  readonly text: string;
  readonly context: TraceContext;
}

/** The sampled contexts, each once, at most `BATCH_TRACES_MAX`. */
function distinctContexts(traceparents: Iterable<string | undefined>): Distinct[] {
  const found = new Map<string, Distinct>();
  for (const text of traceparents) {
    if (text === undefined || found.has(text)) continue;
    const context = sampledContext(text);
    if (context !== undefined) found.set(text, { text, context });
    if (found.size >= BATCH_TRACES_MAX) break;
  }
  return [...found.values()];
}
