import { type OpenAPIHono, z } from '@hono/zod-openapi';
import { checkHealth } from '../../operations/health.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { json } from '../openapi.ts';

/** Each check returns if its dependency answers, and throws otherwise. */
export interface HealthPorts {
  readonly database: () => Promise<void>;
  readonly clock: () => Promise<void>;
  readonly artifacts: () => Promise<void>;
  /** The id of this start of the local stack; undefined on Cloudflare. */
  readonly instance: string | undefined;
}

const Live = z.object({
  status: z.literal('ok'),
  instance: z
    .string()
    .optional()
    .openapi({ description: 'In the local stack only: the id of this run of `npm run dev`.' }),
});

const State = z.enum(['ok', 'unavailable']);
const Readiness = z.object({ status: State, checks: z.record(z.string(), State) }).openapi('Readiness');

/** `live`: the worker runs. `ready`: all dependencies of a fresh answer are reachable. */
export function registerHealth(app: OpenAPIHono<AppEnv>, _: Gateway, checksOf: PortsOf<HealthPorts>): void {
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/health/live',
    operationId: 'getLiveness',
    summary: 'Reports that the worker runs',
    tags: ['health'],
    responses: {
      200: json('The worker runs.', Live),
    },
  });
  app.get('/health/live', (c) => {
    const { instance } = checksOf(c);
    const live: z.output<typeof Live> = { status: 'ok', ...(instance === undefined ? {} : { instance }) };
    return c.json(live, 200, { 'cache-control': 'no-store' });
  });

  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/health/ready',
    operationId: 'getReadiness',
    summary: 'Reports whether every dependency of a fresh answer is available',
    tags: ['health'],
    responses: {
      200: json('All dependencies are available.', Readiness),
      503: json('A dependency is not available; `checks` names it.', Readiness),
    },
  });
  app.get('/health/ready', async (c) => {
    const { database, clock, artifacts } = checksOf(c);
    const health = await checkHealth({ database, clock, artifacts });
    return c.json(health, health.status === 'ok' ? 200 : 503, { 'cache-control': 'no-store' });
  });
}
