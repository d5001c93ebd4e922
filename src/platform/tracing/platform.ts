import type { PlatformTracing } from './trace.ts';

/** The part of the platform's tracing that Millrace uses (workers/observability/traces/custom-spans). */
interface Tracer {
  startActiveSpan<T>(name: string, work: (span: PlatformSpan) => T): T;
  getActiveSpan(): PlatformSpan | undefined;
}
interface PlatformSpan {
  readonly isTraced: boolean;
  setAttributes(attributes: Record<string, boolean | number | string | undefined>): unknown;
  end(): void;
}

/**
 * The platform's own tracing of what runs with a context (`ctx.tracing`); undefined where the platform does not record it.
 * Its spans nest by themselves. They have ids of their own: the platform takes no `traceparent`.
 */
export function platformTracing(ctx: object): PlatformTracing | undefined {
  const tracer: Tracer | undefined = Reflect.get(ctx, 'tracing');
  if (tracer?.getActiveSpan?.()?.isTraced !== true) return undefined;
  return {
    enter: (name, attributes, work) =>
      tracer.startActiveSpan(name, async (span) => {
        try {
          return await work();
        } finally {
          span.setAttributes({ ...attributes() });
          span.end();
        }
      }),
  };
}
