import type { OpenAPIHono } from '@hono/zod-openapi';
import { sql } from 'drizzle-orm';
import { rootClock } from '../../composition/objects.ts';
import { checkHealth } from '../../operations/health.ts';
import type { AppEnv, Gateway } from '../context.ts';

/** `live`: the worker runs. `ready`: everything that a fresh answer needs is in reach. */
export function registerHealth(app: OpenAPIHono<AppEnv>, gateway: Gateway): void {
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/health/live',
    summary: 'The worker runs',
    tags: ['health'],
    responses: { 200: { description: 'It does.' } },
  });
  app.get('/health/live', (c) => c.json({ status: 'ok' }));

  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/health/ready',
    summary: 'Everything that a fresh answer needs is in reach',
    tags: ['health'],
    responses: {
      200: { description: 'It is.' },
      503: { description: 'Something is not; `checks` tells what.' },
    },
  });
  app.get('/health/ready', async (c) => {
    const { db, env } = gateway.servicesOf(c);
    const health = await checkHealth({
      database: async () => void (await db.execute(sql`select 1`)),
      clock: async () =>
        void (await rootClock(env).sync({ epoch: '', sinceSeq: 0, maxAgeMs: 0, atLeast: undefined })),
      artifacts: async () => void (await env.MODELS.head('health')),
    });
    return c.json(health, health.status === 'ok' ? 200 : 503, { 'cache-control': 'no-store' });
  });
}
