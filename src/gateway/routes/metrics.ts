import type { OpenAPIHono } from '@hono/zod-openapi';
import type { Env } from '../../composition/env.ts';
import { kafkaReport } from '../../composition/kafka.ts';
import { cacheStats, changeFeed } from '../../composition/objects.ts';
import { consistencyOf } from '../../operations/consistency.ts';
import { cacheReportOf } from '../../operations/hit-ratio.ts';
import { METRICS_CONTENT_TYPE, metricsOf, metricsText } from '../../operations/metrics.ts';
import { type PipelineReport, pipelineMetricsOf } from '../../operations/pipeline-metrics.ts';
import { qualityMetricsOf } from '../../operations/quality/metrics.ts';
import { qualityReportOf } from '../../operations/quality/report.ts';
import { withTimeout } from '../../platform/clock.ts';
import { type CounterReport, WINDOWS_MINUTES } from '../../platform/counters.ts';
import { Failure } from '../../platform/failure.ts';
import type { AppEnv, Gateway } from '../context.ts';
import { keySecurity, problem } from '../openapi.ts';
import { countsOf } from './quality.ts';

/** A scrape waits no longer for a part of the pipeline, in milliseconds. */
const PART_TIMEOUT_MS = 2_000;

/** What all isolates have counted: for Prometheus, and as a report on the cache. */
export function registerMetrics(app: OpenAPIHono<AppEnv>, gateway: Gateway): void {
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/metrics',
    summary: "Counters and gauges in Prometheus' text format",
    tags: ['operations'],
    security: keySecurity,
    responses: {
      200: { description: 'Version 0.0.4 of the format.', content: { 'text/plain': { schema: {} } } },
      401: problem('A key is needed, unless METRICS_PUBLIC is set.'),
      503: problem('The counters do not answer.'),
    },
  });
  app.get(
    '/metrics',
    (c, next) => (gateway.servicesOf(c).config.isMetricsPublic ? next() : gateway.authorize(c, next)),
    async (c) => {
      const { env } = gateway.servicesOf(c);
      const [report, quality, pipeline] = await Promise.all([
        reportOf(env),
        countsOf(env),
        pipelineReportOf(env),
      ]);
      const ofQuality = qualityMetricsOf(
        qualityReportOf(quality, gateway.catalog.eventTypes),
        quality.totals,
      );
      const text = metricsText([...metricsOf(report), ...ofQuality, ...pipelineMetricsOf(pipeline)]);
      return c.body(text, 200, { 'content-type': METRICS_CONTENT_TYPE, 'cache-control': 'no-store' });
    },
  );

  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/admin/cache/stats',
    summary: 'Hit ratio and consistency of the cache over 1, 5 and 60 minutes, and whether its gate holds',
    tags: ['admin'],
    security: keySecurity,
    responses: {
      200: { description: 'By window, and by view.' },
      401: problem('A key is needed.'),
      503: problem('The counters do not answer.'),
    },
  });
  app.get('/v1/admin/cache/stats', async (c) => {
    const report = await reportOf(gateway.servicesOf(c).env);
    const consistency = Object.fromEntries(
      WINDOWS_MINUTES.map((minutes) => [minutes, consistencyOf(report.windows[minutes])]),
    );
    const { isolates } = report;
    const answer = { ...cacheReportOf(report), consistency, isolates };
    return c.json(answer, 200, { 'cache-control': 'no-store' });
  });
}

async function reportOf(env: Env): Promise<CounterReport> {
  try {
    return await cacheStats(env).report();
  } catch (error) {
    throw new Failure('statistics_unavailable', 'The counters do not answer.', {
      retryAfterS: 5,
      cause: error,
    });
  }
}

/** A part that is away, or slow, is left out: the others are what tells of it. */
async function pipelineReportOf(env: Env): Promise<PipelineReport> {
  const [feed, kafka] = await Promise.all([
    soon(() => changeFeed(env).status()),
    soon(() => kafkaReport(env)),
  ]);
  return { feed, kafka };
}

async function soon<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await withTimeout(ask(), PART_TIMEOUT_MS, () => new Error('It takes too long.'));
  } catch {
    return undefined;
  }
}
