import { JsonMetricsSerializer } from '@opentelemetry/otlp-transformer';
import { expect, it } from 'vitest';
import { otlpMetrics } from '../../../src/operations/otlp-metrics.ts';

it('counters are monotonic sums, and buckets are no longer cumulative', () => {
  const labels = { route: '/v1/products' };
  const bucket = (le: string, value: number) =>
    ({ suffix: '_bucket', labels: { ...labels, le }, value }) as const;
  const metrics = otlpMetrics(
    [
      { name: 'a_total', help: 'A.', type: 'counter', series: [{ labels, value: 7 }] },
      { name: 'b', help: 'B.', type: 'gauge', series: [{ labels: {}, value: 0.25 }] },
      { name: 'empty', help: '', type: 'gauge', series: [] },
      {
        ...{ name: 'c_seconds', help: 'C.', type: 'histogram' },
        series: [
          ...[bucket('0.1', 2), bucket('1', 5), bucket('+Inf', 6)],
          ...[
            { suffix: '_sum', labels, value: 12.5 } as const,
            { suffix: '_count', labels, value: 6 } as const,
          ],
        ],
      },
    ],
    { 'service.name': 'shop' },
    1_796_000_000_250,
  );
  const written = JSON.parse(new TextDecoder().decode(JsonMetricsSerializer.serializeRequest(metrics)));
  const [{ resource, scopeMetrics }] = written.resourceMetrics;
  expect(resource.attributes).toEqual([{ key: 'service.name', value: { stringValue: 'shop' } }]);
  const [sum, gauge, histogram, ...more] = scopeMetrics[0].metrics;
  expect(more).toEqual([]);
  expect(sum).toMatchObject({ name: 'a_total', sum: { isMonotonic: true, aggregationTemporality: 2 } });
  expect(sum.sum.dataPoints[0]).toMatchObject({ asDouble: 7, timeUnixNano: '1796000000250000000' });
  expect(gauge.gauge.dataPoints[0]).toMatchObject({ asDouble: 0.25 });
  expect(histogram.histogram.dataPoints[0]).toMatchObject({
    ...{ count: 6, sum: 12.5, bucketCounts: [2, 3, 1], explicitBounds: [0.1, 1] },
    attributes: [{ key: 'route', value: { stringValue: '/v1/products' } }],
  });
});
