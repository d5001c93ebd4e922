import type { ProtobufMetricsSerializer } from '@opentelemetry/otlp-transformer';
import { VERSION } from '../platform/version.ts';
import type { Metric } from './metrics.ts';

type ResourceMetrics = Parameters<typeof ProtobufMetricsSerializer.serializeRequest>[0];
type MetricData = ResourceMetrics['scopeMetrics'][number]['metrics'][number];
type Series = Metric['series'];

/** Numbers of OpenTelemetry's API. */
const CUMULATIVE = 1;
const DOUBLE = 1;
const [HISTOGRAM, GAUGE, SUM] = [0, 2, 3] as const;
/** The counters go on over restarts; when the first of them began, nobody knows. */
const UNKNOWN_START: [number, number] = [0, 0];

/**
 * Metrics in the form that OpenTelemetry's serializers take: counters as monotonic sums, all of them cumulative.
 *
 * @param atMs when they were read, in milliseconds since the Unix epoch.
 */
export function otlpMetrics(
  metrics: readonly Metric[],
  attributes: Readonly<Record<string, string>>,
  atMs: number,
): ResourceMetrics {
  const endTime: [number, number] = [Math.floor(atMs / 1_000), (atMs % 1_000) * 1e6];
  const times = { startTime: UNKNOWN_START, endTime };
  const numbers = (series: Series) =>
    series.map(({ labels, value }) => ({ ...times, attributes: { ...labels }, value }));
  const data = metrics
    .filter(({ series }) => series.length > 0)
    .map(({ name, help: description, type, series }): MetricData => {
      const common = {
        descriptor: { name, description, unit: '', valueType: DOUBLE },
        aggregationTemporality: CUMULATIVE,
      };
      if (type === 'histogram')
        return {
          ...{ ...common, dataPointType: HISTOGRAM },
          dataPoints: histogramsOf(series).map((point) => ({ ...times, ...point })),
        };
      if (type === 'gauge') return { ...common, dataPointType: GAUGE, dataPoints: numbers(series) };
      return { ...common, dataPointType: SUM, isMonotonic: true, dataPoints: numbers(series) };
    });
  const resource = {
    attributes,
    merge: () => resource,
    getRawAttributes: () => [],
  } as ResourceMetrics['resource'];
  return { resource, scopeMetrics: [{ scope: { name: 'millrace', version: VERSION }, metrics: data }] };
}

/** The points of a histogram whose buckets are cumulative, as the text format has them. */
function histogramsOf(series: Series) {
  const groups = Map.groupBy(series, ({ labels: { le: _, ...labels } }) => JSON.stringify(labels));
  return [...groups].map(([text, own]) => {
    const numberOf = (suffix: '_sum' | '_count') => own.find((one) => one.suffix === suffix)?.value ?? 0;
    const buckets = own.filter(({ suffix }) => suffix === '_bucket');
    const counts = buckets.map(({ value }, at) => value - (buckets[at - 1]?.value ?? 0));
    const boundaries = buckets.map(({ labels }) => Number(labels['le'])).filter(Number.isFinite);
    const attributes: Record<string, string> = JSON.parse(text);
    const value = { buckets: { boundaries, counts }, sum: numberOf('_sum'), count: numberOf('_count') };
    return { attributes, value };
  });
}
