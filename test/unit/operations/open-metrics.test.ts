import { describe, expect, it } from 'vitest';
import { preferred } from '../../../src/gateway/accept.ts';
import { metricsOf, metricsText } from '../../../src/operations/metrics.ts';
import { openMetricsText } from '../../../src/operations/open-metrics.ts';
import { RequestCounts } from '../../../src/operations/requests.ts';

const EXPORTED = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), atMs: 1_796_000_000_250 };

function counted() {
  const counts = new RequestCounts();
  counts.record('GET', '/v1/products/{sku}', 200, 3);
  counts.record('GET', '/v1/products/{sku}', 200, 67, EXPORTED);
  counts.record('GET', '/v1/products/{sku}', 200, 69);
  const exemplars = counts.exemplars();
  const totals = counts.drain();
  const isolates = { active: 1, memoryBytes: 0 };
  return metricsOf({ totals, windows: { 1: [], 5: [], 60: [] }, isolates, exemplars });
}

describe('OpenMetrics', () => {
  it('names the trace of the bucket that it fell into, and of no other', () => {
    const lines = openMetricsText(counted()).split('\n');
    const named = lines.filter((line) => line.includes(' # '));
    expect(named).toEqual([
      `millrace_http_request_duration_seconds_bucket{method="GET",route="/v1/products/{sku}",le="0.1"} 3 # {trace_id="${EXPORTED.traceId}",span_id="${EXPORTED.spanId}"} 0.067 1796000000.25`,
    ]);
    expect(metricsText(counted())).not.toContain('trace_id');
  });

  it('names families of counters without _total, and ends', () => {
    const text = openMetricsText(counted());
    expect(text).toContain('# TYPE millrace_http_requests counter\n');
    expect(text).toContain(
      'millrace_http_requests_total{method="GET",route="/v1/products/{sku}",status="200"} 3\n',
    );
    expect(text.endsWith('\n# EOF\n')).toBe(true);
  });

  it('escapes quotes in texts of help, too', () => {
    const text = openMetricsText([{ name: 'a', help: 'of "b" \\ c\nd', type: 'gauge', series: [] }]);
    expect(text).toContain('# HELP a of \\"b\\" \\\\ c\\nd\n');
  });

  it.each([
    ['application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2', true],
    ['application/openmetrics-text; version=1.0.0', true],
    ['text/plain;version=0.0.4', false],
    ['text/plain, application/openmetrics-text;q=0.5', false],
    ['*/*', false],
    [null, false],
  ])('is what a client gets that prefers it: %s', (accept, isOpen) => {
    const types = ['text/plain', 'application/openmetrics-text'] as const;
    expect(preferred(accept, types) === 'application/openmetrics-text').toBe(isOpen);
  });
});

it('no metric is both a total and its parts', () => {
  for (const { name, series } of counted()) {
    const labels = new Set(
      series
        .filter(({ suffix }) => suffix === undefined)
        .map((one) => Object.keys(one.labels).toSorted().join()),
    );
    expect([name, labels.size <= 1]).toEqual([name, true]);
  }
});
