import { JsonMetricsSerializer, ProtobufMetricsSerializer } from '@opentelemetry/otlp-transformer';
import { metricsOf } from '../operations/metrics.ts';
import { otlpMetrics } from '../operations/otlp-metrics.ts';
import { systemNow } from '../platform/clock.ts';
import { log } from '../platform/logger.ts';
import { sendExport } from '../platform/tracing/otlp.ts';
import type { BoundIsolate } from './isolate.ts';
import { cacheStats } from './objects.ts';
import { metricsReceiverOf } from './tracing.ts';

/** Sends the counters of all isolates to the receiver of OTLP, where `OTEL_METRICS_EXPORTER` says so. */
export async function exportMetrics({ env }: BoundIsolate): Promise<void> {
  const receiver = metricsReceiverOf(env);
  if (receiver === undefined) return;
  const report = await cacheStats(env).report();
  const metrics = otlpMetrics(metricsOf(report), receiver.resource, systemNow());
  const serializer = receiver.protocol === 'http/json' ? JsonMetricsSerializer : ProtobufMetricsSerializer;
  const { outcome } = await sendExport(receiver, 'metrics', serializer.serializeRequest(metrics));
  // The counters are cumulative, so the next export has what this one lacks.
  if (outcome !== 'taken')
    log('warn', 'The receiver of metrics did not take them.', {
      'event.action': 'metrics-export',
      'event.outcome': outcome,
    });
}
