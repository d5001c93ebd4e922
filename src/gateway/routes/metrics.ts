import { type OpenAPIHono, z } from '@hono/zod-openapi';
import { consistencyOf } from '../../operations/consistency.ts';
import { cacheReportOf } from '../../operations/hit-ratio.ts';
import { METRICS_CONTENT_TYPE, metricsOf, metricsText } from '../../operations/metrics.ts';
import { OPEN_METRICS_CONTENT_TYPE, openMetricsText } from '../../operations/open-metrics.ts';
import { type PipelineReport, pipelineMetricsOf } from '../../operations/pipeline-metrics.ts';
import { qualityMetricsOf } from '../../operations/quality/metrics.ts';
import { qualityReportOf } from '../../operations/quality/report.ts';
import type { FeedStatus } from '../../pipeline/feed/stream.ts';
import type { PartitionReport } from '../../pipeline/kafka/report.ts';
import type { QualityCounts } from '../../pipeline/quality/windows.ts';
import { withTimeout } from '../../platform/clock.ts';
import { type CounterReport, WINDOWS_MINUTES } from '../../platform/counters.ts';
import { preferred } from '../accept.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { json, keySecurity, problem } from '../openapi.ts';

const Ratio = z.object({
  answers: z.int(),
  ratio: z.number().nullable().openapi({ description: 'hits by answers; null without answers' }),
  tiers: z.record(z.string(), z.number()).openapi({ description: "each tier's part of the ratio" }),
  from: z.record(z.string(), z.int()).openapi({ description: 'answers, by what answered' }),
});
const Ratios = z.object({ all: Ratio, views: z.record(z.string(), Ratio) });
const GateVerdict = z.enum(['passed', 'failed', 'not_enough']);
const Nines = z.object({
  nines: z.number().openapi({ description: '3 for one inconsistent sample in a thousand' }),
  atLeast: z.boolean(),
  samples: z.int(),
  inconsistent: z.int(),
  inconclusive: z.int(),
});
const CacheStats = z
  .object({
    windows: z.record(z.string(), Ratios).openapi({ description: 'by the minutes of the window' }),
    totals: Ratios.openapi({ description: 'since the first count' }),
    gate: z.object({ all: GateVerdict, views: z.record(z.string(), GateVerdict) }),
    consistency: z.record(z.string(), Nines).openapi({ description: 'by the minutes of the window' }),
    isolates: z.object({ active: z.int(), memoryBytes: z.int() }),
  })
  .openapi('CacheStats');

/** The media types of the two formats. */
const TEXT = 'text/plain';
const OPEN_METRICS = 'application/openmetrics-text';

/** The longest time that a scrape waits for a part of the pipeline, in milliseconds. */
const PART_TIMEOUT_MS = 2_000;

export interface MetricsPorts {
  /** Whether `GET /metrics` is readable without the key. */
  readonly isPublic: boolean;
  /** The counters of all isolates. @throws Failure `statistics_unavailable` */
  readonly counters: () => Promise<CounterReport>;
  /** @throws Failure `statistics_unavailable` */
  readonly quality: () => Promise<QualityCounts>;
  readonly feed: () => Promise<FeedStatus>;
  readonly kafka: () => Promise<PartitionReport[]>;
}

/** Shows the counters of all isolates: for Prometheus, and as a report on the cache. */
export function registerMetrics(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  metricsPortsOf: PortsOf<MetricsPorts>,
): void {
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/metrics',
    operationId: 'getMetrics',
    summary: "Shows counters, gauges and histograms in Prometheus' text format, or in that of OpenMetrics",
    tags: ['operations'],
    security: keySecurity,
    responses: {
      200: {
        description:
          'Version 0.0.4 of the format. Where the client prefers OpenMetrics 1.0.0, buckets of histograms name traces.',
        content: { [TEXT]: { schema: z.string() }, [OPEN_METRICS]: { schema: z.string() } },
      },
      503: problem('The counters do not answer.'),
    },
  });
  app.get(
    '/metrics',
    (c, next) => (metricsPortsOf(c).isPublic ? next() : gateway.authorize(c, next)),
    async (c) => {
      const ports = metricsPortsOf(c);
      const [report, quality, pipeline] = await Promise.all([
        ports.counters(),
        ports.quality(),
        pipelineReportOf(ports),
      ]);
      const ofQuality = qualityMetricsOf(
        qualityReportOf(quality, gateway.catalog.eventTypes),
        quality.totals,
      );
      const metrics = [...metricsOf(report), ...ofQuality, ...pipelineMetricsOf(pipeline)];
      const isOpen = preferred(c.req.header('accept') ?? null, [TEXT, OPEN_METRICS]) === OPEN_METRICS;
      return c.body(isOpen ? openMetricsText(metrics) : metricsText(metrics), 200, {
        ...{ 'cache-control': 'no-store', vary: 'Accept' },
        'content-type': isOpen ? OPEN_METRICS_CONTENT_TYPE : METRICS_CONTENT_TYPE,
      });
    },
  );

  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/admin/cache/stats',
    operationId: 'getCacheStats',
    summary:
      'Reports the hit ratio and consistency of the cache over 1, 5 and 60 minutes, and the verdict of its gate',
    tags: ['admin'],
    security: keySecurity,
    responses: {
      200: json('The report for each window, in total and for each view.', CacheStats),
      503: problem('The counters do not answer.'),
    },
  });
  app.get('/v1/admin/cache/stats', async (c) => {
    const report = await metricsPortsOf(c).counters();
    const consistency = Object.fromEntries(
      WINDOWS_MINUTES.map((minutes) => [minutes, consistencyOf(report.windows[minutes])]),
    );
    const { isolates } = report;
    const answer: z.input<typeof CacheStats> = { ...cacheReportOf(report), consistency, isolates };
    return c.json(answer, 200, { 'cache-control': 'no-store' });
  });
}

/** Omits a part that fails or is slow, so that the other metrics are still scraped. */
async function pipelineReportOf(ports: MetricsPorts): Promise<PipelineReport> {
  const [feed, kafka] = await Promise.all([soon(ports.feed), soon(ports.kafka)]);
  return { feed, kafka };
}

async function soon<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await withTimeout(ask(), PART_TIMEOUT_MS, () => new Error('It takes too long.'));
  } catch {
    return undefined;
  }
}
