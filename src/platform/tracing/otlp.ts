import { JsonTraceSerializer, ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import { withTimeout } from '../clock.ts';
import { VERSION } from '../version.ts';
import type { SpanKind } from './span.ts';
import type { Exported } from './span-queue.ts';
import type { FinishedSpan } from './trace.ts';

/** The protocols of `OTEL_EXPORTER_OTLP_PROTOCOL` that a worker can speak: it has no gRPC. */
export const PROTOCOLS = ['http/protobuf', 'http/json'] as const;
export type Protocol = (typeof PROTOCOLS)[number];

/** Where traces and metrics are sent. */
export interface Receiver {
  /** Its base URL; the path of the signal, such as `/v1/traces`, is added. */
  readonly endpoint: string;
  /** Headers of each export, such as credentials. */
  readonly headers: Readonly<Record<string, string>>;
  readonly protocol: Protocol;
  /** How long an export may take, in milliseconds. */
  readonly deadlineMs: number;
  /** Attributes of the resource: `service.name` and others. */
  readonly resource: Readonly<Record<string, string>>;
}

type Serializable = Parameters<typeof ProtobufTraceSerializer.serializeRequest>[0][number];

const SERIALIZERS = {
  'http/protobuf': { serializer: ProtobufTraceSerializer, contentType: 'application/x-protobuf' },
  'http/json': { serializer: JsonTraceSerializer, contentType: 'application/json' },
} as const;

/** The numbers of OpenTelemetry's API, which the serializers raise by one. */
const KINDS: Readonly<Record<SpanKind, number>> = {
  internal: 0,
  server: 1,
  client: 2,
  producer: 3,
  consumer: 4,
};
const UNSET = 0;
const ERROR = 2;
const SAMPLED = 1;

const SCOPE = { name: 'millrace', version: VERSION };

/** The status codes after which an export may be repeated (OTLP 1.x, "OTLP/HTTP Response", retryable). */
const RETRYABLE: ReadonlySet<number> = new Set([429, 502, 503, 504]);

/** Sends a serialized export of a signal over OTLP/HTTP. It never rejects. */
export async function sendExport(
  { endpoint, headers, protocol, deadlineMs }: Omit<Receiver, 'resource'>,
  signal: 'traces' | 'metrics',
  body: Uint8Array | undefined,
): Promise<Pick<Exported, 'outcome'> & { readonly answer?: Uint8Array }> {
  if (body === undefined) return { outcome: 'refused' };
  try {
    const sent = async () => {
      const response = await fetch(`${endpoint.replace(/\/+$/, '')}/v1/${signal}`, {
        method: 'POST',
        headers: { ...headers, 'content-type': SERIALIZERS[protocol].contentType },
        body: new Uint8Array(body),
        signal: AbortSignal.timeout(deadlineMs),
      });
      return { response, answer: new Uint8Array(await response.arrayBuffer()) };
    };
    const late = () => new Error('The receiver did not answer in time.');
    const { response, answer } = await withTimeout(sent(), deadlineMs, late);
    if (RETRYABLE.has(response.status)) return { outcome: 'unavailable' };
    return response.ok ? { outcome: 'taken', answer } : { outcome: 'refused' };
  } catch {
    return { outcome: 'unavailable' };
  }
}

/** Sends spans. It never rejects. */
export function otlpSender({
  resource: attributes,
  ...receiver
}: Receiver): (spans: readonly FinishedSpan[]) => Promise<Exported> {
  const { serializer } = SERIALIZERS[receiver.protocol];
  const resource = {
    attributes,
    merge: () => resource,
    getRawAttributes: () => [],
  } as Serializable['resource'];
  return async (spans) => {
    const body = serializer.serializeRequest(spans.map((span) => serializable(span, resource)));
    const { outcome, answer } = await sendExport(receiver, 'traces', body);
    return answer === undefined ? { outcome } : { outcome, refused: refusedIn(answer, serializer) };
  };
}

/** The number of refused spans that an answer names; 0 if it names none, or is not of OTLP. */
function refusedIn(
  answer: Uint8Array,
  serializer: Pick<typeof ProtobufTraceSerializer, 'deserializeResponse'>,
): number {
  if (answer.length === 0) return 0;
  try {
    return Number(serializer.deserializeResponse(answer).partialSuccess?.rejectedSpans ?? 0);
  } catch {
    return 0;
  }
}

function serializable(span: FinishedSpan, resource: Serializable['resource']): Serializable {
  const { traceId, spanId, parent, isParentRemote, links, isFailed, startMs, endMs } = span;
  return {
    name: span.name,
    kind: KINDS[span.kind],
    spanContext: () => ({ traceId, spanId, traceFlags: SAMPLED }),
    ...(parent === undefined
      ? {}
      : { parentSpanContext: { ...parent, traceFlags: SAMPLED, isRemote: isParentRemote } }),
    startTime: hrTime(startMs),
    endTime: hrTime(endMs),
    duration: [0, 0],
    ended: true,
    status: { code: isFailed ? ERROR : UNSET },
    attributes: Object.fromEntries(
      Object.entries(span.attributes).filter(([, value]) => value !== undefined),
    ),
    links: links.map((context) => ({
      context: { traceId: context.traceId, spanId: context.spanId, traceFlags: SAMPLED },
    })),
    events: [],
    resource,
    instrumentationScope: SCOPE,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
}

/** Seconds, and nanoseconds of the second. */
function hrTime(ms: number): [seconds: number, nanos: number] {
  const seconds = Math.floor(ms / 1_000);
  return [seconds, Math.round((ms - seconds * 1_000) * 1e6)];
}
