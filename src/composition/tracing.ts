import * as z from 'zod';
import { sleep, systemNow } from '../platform/clock.ts';
import { systemRandom } from '../platform/random.ts';
import { countSpans } from '../platform/tracing/counts.ts';
import { otlpSender, PROTOCOLS, type Receiver } from '../platform/tracing/otlp.ts';
import { platformTracing } from '../platform/tracing/platform.ts';
import { SAMPLERS, Sampler } from '../platform/tracing/sampler.ts';
import { SpanQueue } from '../platform/tracing/span-queue.ts';
import { Tracing } from '../platform/tracing/tracing.ts';
import { parseVars } from '../platform/vars.ts';
import { VERSION } from '../platform/version.ts';
import type { Env } from './env.ts';

/** One trace in a hundred: enough to see what is usual, for a hundredth of the cost. */
const SHARE_DEFAULT = 0.01;
/** Ten times as long as a prediction may take. */
const SLOW_MS_DEFAULT = 1_000;
/** The receiver is beside nobody's answer; a request stays alive for 30 s after it. */
const EXPORT_MS_DEFAULT = 5_000;
const EXPORT_MS_MAX = 7_000;
const PAIRS_MAX = 32;

/** `key1=value1,key2=value2` with percent-encoded values (OpenTelemetry's environment variables; W3C Baggage). */
const Pairs = z
  .string()
  .max(8_192)
  .default('')
  .transform((text, context) => {
    const pairs = text
      .split(',')
      .map((pair) => pair.trim())
      .filter((pair) => pair !== '');
    const parsed = pairs.map((pair) => /^([^=\s]+)\s*=\s*(.*)$/.exec(pair));
    if (parsed.includes(null) || pairs.length > PAIRS_MAX) {
      context.addIssue({
        code: 'custom',
        message: `expected at most ${PAIRS_MAX} pairs key=value, separated by commas`,
      });
      return z.NEVER;
    }
    try {
      return Object.fromEntries(parsed.map((pair) => [pair?.[1] ?? '', decodeURIComponent(pair?.[2] ?? '')]));
    } catch {
      context.addIssue({ code: 'custom', message: 'a percent sign begins no encoded character' });
      return z.NEVER;
    }
  });

const Vars = z.object({
  OTEL_EXPORTER_OTLP_ENDPOINT: z.url({ protocol: /^https?$/ }).optional(),
  OTEL_EXPORTER_OTLP_HEADERS: Pairs,
  OTEL_EXPORTER_OTLP_PROTOCOL: z.enum(PROTOCOLS).default('http/protobuf'),
  OTEL_EXPORTER_OTLP_TIMEOUT: z.coerce.number().int().min(100).max(EXPORT_MS_MAX).default(EXPORT_MS_DEFAULT),
  OTEL_METRICS_EXPORTER: z.enum(['otlp', 'none']).default('none'),
  OTEL_TRACES_SAMPLER: z.enum(SAMPLERS).default('parentbased_traceidratio'),
  OTEL_TRACES_SAMPLER_ARG: z.coerce.number().min(0).max(1).default(SHARE_DEFAULT),
  OTEL_SERVICE_NAME: z.string().min(1).max(128).default('millrace'),
  OTEL_RESOURCE_ATTRIBUTES: Pairs,
  TRACE_SLOW_MS: z.coerce.number().int().min(1).max(600_000).default(SLOW_MS_DEFAULT),
  PLATFORM_SPANS: z.enum(['on', 'off']).default('off'),
  LOG_REQUESTS: z.enum(['kept', 'off']).default('off'),
});

/** The variables and secrets of tracing. */
export type TracingEnv = Pick<Env, keyof z.input<typeof Vars>>;

/** By the bindings of an isolate: they do not change, and each request asks. */
const known = new WeakMap<object, { readonly tracing: Tracing | undefined }>();
/** By the configuration. Workers and objects of one isolate export together, although their bindings are other objects. */
const made = new Map<string, Tracing>();

/**
 * What traces in this isolate; undefined if neither a receiver nor the spans of the platform are configured.
 *
 * @throws Error with the names of the variables that are not valid.
 */
export function tracingOf(env: TracingEnv): Tracing | undefined {
  const found = known.get(env);
  if (found !== undefined) return found.tracing;
  const vars = parseVars(Vars, env);
  const isTraced = vars.OTEL_EXPORTER_OTLP_ENDPOINT !== undefined || vars.PLATFORM_SPANS === 'on';
  const tracing = isTraced ? sharedTracing(vars) : undefined;
  known.set(env, { tracing });
  return tracing;
}

function sharedTracing(vars: z.output<typeof Vars>): Tracing {
  const key = JSON.stringify(vars);
  const shared = made.get(key) ?? newTracing(vars);
  made.set(key, shared);
  return shared;
}

function newTracing(vars: z.output<typeof Vars>): Tracing {
  const receiver = receiverOf(vars);
  const ports = { now: systemNow, random: systemRandom };
  const queue =
    receiver === undefined
      ? undefined
      : new SpanQueue({
          ...{ now: systemNow, sleep, send: otlpSender(receiver), deadlineMs: receiver.deadlineMs },
          counted: countSpans,
        });
  return new Tracing({
    ...ports,
    sampler: new Sampler(vars.OTEL_TRACES_SAMPLER, vars.OTEL_TRACES_SAMPLER_ARG),
    queue,
    lost: (spans) => countSpans('dropped', spans),
    platformOf: vars.PLATFORM_SPANS === 'on' ? platformTracing : undefined,
    slowMs: vars.TRACE_SLOW_MS,
    logsRequests: vars.LOG_REQUESTS === 'kept',
  });
}

/** Where the metrics of all isolates are sent; undefined if they are not. */
export function metricsReceiverOf(env: TracingEnv): Receiver | undefined {
  const vars = parseVars(Vars, env);
  return vars.OTEL_METRICS_EXPORTER === 'otlp' ? receiverOf(vars) : undefined;
}

function receiverOf(vars: z.output<typeof Vars>): Receiver | undefined {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint } = vars;
  if (endpoint === undefined) return undefined;
  return {
    endpoint,
    headers: vars.OTEL_EXPORTER_OTLP_HEADERS,
    protocol: vars.OTEL_EXPORTER_OTLP_PROTOCOL,
    deadlineMs: vars.OTEL_EXPORTER_OTLP_TIMEOUT,
    resource: {
      'service.version': VERSION,
      'cloud.provider': 'cloudflare',
      'cloud.platform': 'cloudflare.workers',
      ...vars.OTEL_RESOURCE_ATTRIBUTES,
      'service.name': vars.OTEL_SERVICE_NAME,
    },
  };
}
