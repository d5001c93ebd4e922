import type { RequestPlace } from '../platform/regions.ts';
import { spanOf } from '../platform/tracing/request-trace.ts';
import type { Span } from '../platform/tracing/span.ts';

/** The parts of one request that the cache needs. */
export class RequestScope {
  readonly #http: Request | undefined;
  readonly #ctx: Pick<ExecutionContext, 'waitUntil'>;

  /** @param http undefined for a queue's batch and the cron, which have no location. */
  constructor(http: Request | undefined, ctx: Pick<ExecutionContext, 'waitUntil'>) {
    this.#http = http;
    this.#ctx = ctx;
  }

  /** The span of the request; its first use makes it. */
  get span(): Span {
    return spanOf(this.#ctx);
  }

  /** Keeps work running after the request has ended. */
  keepAlive(promise: Promise<unknown>): void {
    this.#ctx.waitUntil(promise);
  }

  /** The location that the request came from. Reading it costs more than a warm hit, so it is read only when needed. */
  place(): RequestPlace {
    const cf: unknown = this.#http?.cf;
    if (typeof cf !== 'object' || cf === null) return {};
    const text = (name: string): string | undefined => {
      const value: unknown = Reflect.get(cf, name);
      return typeof value === 'string' ? value : undefined;
    };
    return { continent: text('continent'), country: text('country'), longitude: text('longitude') };
  }
}
