import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { SERIES_MAX } from '../../../durable-objects/cache-stats/tally.ts';
import { metricsOf, metricsText } from '../../../src/operations/metrics.ts';
import { REQUESTS, RequestCounts } from '../../../src/operations/requests.ts';
import { type CounterReport, CounterSample } from '../../../src/platform/counters.ts';
import { DURATION_BOUNDS_MS } from '../../../src/platform/durations.ts';
import { PEERS } from '../../../src/platform/peer.ts';

const reportOf = (totals: readonly CounterSample[]): CounterReport => ({
  totals,
  windows: { 1: [], 5: [], 60: [] },
  isolates: { active: 1, memoryBytes: 0 },
});
const ROUTE = '/v1/products/{sku}';

describe('the requests of a route', () => {
  it('are counted by status, and by duration whatever the status', () => {
    const counts = new RequestCounts();
    for (const [status, ms] of [
      [200, 0],
      [200, 5],
      [503, 900],
      [200, 60_000],
    ] as const)
      counts.record('GET', ROUTE, status, ms);
    const drained = counts.drain();
    for (const sample of drained) CounterSample.parse(sample);
    expect(counts.drain()).toEqual([]);
    const text = metricsText(metricsOf(reportOf(drained)));
    const of = `method="GET",route="${ROUTE}"`;
    expect(text).toContain(`${REQUESTS}{${of},status="200"} 3\n${REQUESTS}{${of},status="503"} 1\n`);
    const lines = text.split('\n').filter((line) => line.startsWith('millrace_http_request_duration'));
    const bucket = (le: string, count: number) =>
      `millrace_http_request_duration_seconds_bucket{${of},le="${le}"} ${count}`;
    expect(lines).toEqual([
      ...['0.005', '0.01', '0.025', '0.05', '0.1', '0.25'].map((le) => bucket(le, 2)),
      ...['1', '5', '10'].map((le) => bucket(le, 3)),
      bucket('+Inf', 4),
      `millrace_http_request_duration_seconds_sum{${of}} 60.905`,
      `millrace_http_request_duration_seconds_count{${of}} 4`,
    ]);
    expect(text).toContain('# TYPE millrace_http_request_duration_seconds histogram');
  });

  it('are in the first bucket whose bound they do not pass, for any durations', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20_000)), (durations) => {
        const counts = new RequestCounts();
        for (const ms of durations) counts.record('GET', ROUTE, 200, ms);
        const metrics = metricsOf(reportOf(counts.drain()));
        const shown = metrics.find(({ type }) => type === 'histogram')?.series ?? [];
        const counted = shown.filter(({ suffix }) => suffix === '_bucket').map(({ value }) => value);
        const expected = [...DURATION_BOUNDS_MS, Number.POSITIVE_INFINITY].map(
          (bound) => durations.filter((ms) => ms <= bound).length,
        );
        expect(counted).toEqual(durations.length === 0 ? [] : expected);
      }),
    );
  });
});

describe('the series that the object keeps', () => {
  const Document = z.object({
    paths: z.record(
      z.string(),
      z.record(z.string(), z.object({ responses: z.record(z.string(), z.unknown()) })),
    ),
  });
  /** The counters of a histogram: its buckets and its sum. */
  const OF_HISTOGRAM = DURATION_BOUNDS_MS.length + 2;
  /** Methods that are counted where no route took the request, and the statuses of that. */
  const [METHODS, STATUSES] = [8, 6];

  it('have room for every status and duration of every route and service, and for as many of the cache', () => {
    const golden = readFileSync(join(import.meta.dirname, '../../golden/openapi.json'), 'utf8');
    const ofRoutes = Object.values(Document.parse(JSON.parse(golden)).paths)
      .flatMap((methods) => Object.entries(methods))
      // Who can GET can HEAD.
      .map(
        ([method, { responses }]) =>
          (method === 'get' ? 2 : 1) * (Object.keys(responses).length + OF_HISTOGRAM),
      );
    const most =
      ofRoutes.reduce((sum, series) => sum + series, 0) +
      METHODS * (STATUSES + OF_HISTOGRAM) +
      (PEERS.length + 1) * (3 + OF_HISTOGRAM);
    expect(ofRoutes.length).toBeGreaterThan(90);
    expect(most).toBeLessThan(SERIES_MAX - 3_000);
  });
});
