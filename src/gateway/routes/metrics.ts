import type { OpenAPIHono } from '@hono/zod-openapi';
import { consistencyOf } from '../../operations/consistency.ts';
import { cacheReportOf } from '../../operations/hit-ratio.ts';
import { METRICS_CONTENT_TYPE, metricsOf, metricsText } from '../../operations/metrics.ts';
import { WINDOWS_MINUTES } from '../../platform/counters.ts';
import { cacheStats } from '../../storage/objects.ts';
import { type AppEnv, servicesOf } from '../context.ts';
import { authorize } from '../middleware/authorize.ts';
import { keySecurity, problem } from '../openapi.ts';

/** What all isolates have counted: for Prometheus, and as a report on the cache. */
export function registerMetrics(app: OpenAPIHono<AppEnv>): void {
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/metrics',
    summary: "Counters and gauges in Prometheus' text format",
    tags: ['operations'],
    security: keySecurity,
    responses: {
      200: { description: 'Version 0.0.4 of the format.', content: { 'text/plain': { schema: {} } } },
      401: problem('A key is needed.'),
    },
  });
  app.get('/metrics', authorize, async (c) => {
    const report = await cacheStats(servicesOf(c).env).report();
    return c.body(metricsText(metricsOf(report)), 200, { 'content-type': METRICS_CONTENT_TYPE });
  });

  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/admin/cache/stats',
    summary: 'Hit ratio and consistency of the cache over 1, 5 and 60 minutes, and whether its gate holds',
    tags: ['admin'],
    security: keySecurity,
    responses: { 200: { description: 'By window, and by view.' }, 401: problem('A key is needed.') },
  });
  app.get('/v1/admin/cache/stats', async (c) => {
    const report = await cacheStats(servicesOf(c).env).report();
    const consistency = Object.fromEntries(
      WINDOWS_MINUTES.map((minutes) => [minutes, consistencyOf(report.windows[minutes])]),
    );
    return c.json({ ...cacheReportOf(report), consistency });
  });
}
