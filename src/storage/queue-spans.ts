import type { SpanOf } from '../platform/tracing/span.ts';

/** A send to a queue, as OpenTelemetry's conventions for messaging name it. */
export function sendingSpan(queue: string, items: number): SpanOf {
  return {
    name: `send ${queue}`,
    kind: 'producer',
    attributes: { ...messaging(queue, 'send'), ...of(items) },
  };
}

/** The handling of messages of a queue. */
export function processingSpan(queue: string, items: number): SpanOf {
  return {
    ...{ name: `process ${queue}`, kind: 'consumer' },
    attributes: { ...messaging(queue, 'process'), ...of(items) },
  };
}

function messaging(queue: string, operation: 'send' | 'process') {
  return {
    'messaging.system': 'cloudflare_queues',
    'messaging.destination.name': queue,
    'messaging.operation.name': operation,
    'messaging.operation.type': operation,
  };
}

/** A message has many events, so their number is an attribute of its own. */
function of(items: number) {
  return { 'millrace.items': items };
}
