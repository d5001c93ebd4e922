import { type OpenAPIHono, z } from '@hono/zod-openapi';
import { DEPENDENCY_STATES, type DependencyStatus } from '../../operations/dependencies.ts';
import { checkHealth } from '../../operations/health.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { json, keySecurity } from '../openapi.ts';

/** Each check returns if its dependency answers, and throws otherwise. */
export interface HealthPorts {
  readonly database: () => Promise<void>;
  readonly clock: () => Promise<void>;
  readonly artifacts: () => Promise<void>;
  /** What every service and the database do. Never rejects. */
  readonly dependencies: () => Promise<{
    readonly isCounted: boolean;
    readonly dependencies: readonly DependencyStatus[];
  }>;
  /** The id of this start of the local stack; undefined on Cloudflare. */
  readonly instance: string | undefined;
  /** The id of the deployed version; undefined in the local stack. */
  readonly release: string | undefined;
}

const Live = z.object({
  status: z.literal('ok'),
  instance: z
    .string()
    .optional()
    .openapi({ description: 'In the local stack only: the id of this run of `npm run dev`.' }),
  release: z
    .string()
    .optional()
    .openapi({ description: 'On Cloudflare: the id of the deployed version that answers.' }),
});

const State = z.enum(['ok', 'unavailable']);
const Readiness = z.object({ status: State, checks: z.record(z.string(), State) }).openapi('Readiness');

const Dependency = z
  .object({
    name: z.string(),
    state: z
      .enum(DEPENDENCY_STATES)
      .openapi({ description: '`idle`: nobody has called it in the last minutes' }),
    calls: z.object({ ok: z.int(), failed: z.int(), timeout: z.int(), refused: z.int() }).openapi({
      description:
        'of all isolates in the last five to six minutes. `refused`: not made, because the last calls had failed',
    }),
    p50Ms: z.number().nullable(),
    p99Ms: z.number().nullable().openapi({ description: 'at most so long; 10000 also for anything slower' }),
    checked: z
      .object({ isOk: z.boolean(), ms: z.number(), message: z.string().nullable() })
      .nullable()
      .openapi({ description: 'a call that was made for this answer, and why it failed' }),
    lastError: z
      .object({ at: z.string(), failed: z.number(), calls: z.number(), message: z.string().nullable() })
      .nullable()
      .openapi({
        description:
          'the newest minute in which calls failed, and why the newest one did: type, code, and the plain words of its message',
      }),
  })
  .openapi('Dependency');
const Dependencies = z.object({
  status: z.enum(['ok', 'degraded', 'failing']).openapi({ description: 'the worst of all' }),
  isCounted: z.boolean().openapi({ description: 'whether the counts could be read' }),
  dependencies: z.array(Dependency),
});

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
    const { instance, release } = checksOf(c);
    const live: z.output<typeof Live> = {
      status: 'ok',
      ...(instance === undefined ? {} : { instance }),
      ...(release === undefined ? {} : { release }),
    };
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
  registerDependencies(app, checksOf);
}

/** Names of services and how much they are called are for operators: it requires a key. */
function registerDependencies(app: OpenAPIHono<AppEnv>, checksOf: PortsOf<HealthPorts>): void {
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/health/dependencies',
    operationId: 'getDependencies',
    summary: 'Shows the state, the latency and the last error of the database and of each service',
    tags: ['health'],
    security: keySecurity,
    responses: { 200: json('Also while some of them fail.', Dependencies) },
  });
  app.get('/health/dependencies', async (c) => {
    const { isCounted, dependencies } = await checksOf(c).dependencies();
    const worst = (['failing', 'degraded'] as const).find((bad) =>
      dependencies.some(({ state }) => state === bad),
    );
    const shown = dependencies.map(({ lastError, lastMessage: message, ...of }) => {
      if (lastError === null) return { ...of, lastError };
      const { atMs, ...error } = lastError;
      return { ...of, lastError: { at: new Date(atMs).toISOString(), ...error, message } };
    });
    const answer = { status: worst ?? ('ok' as const), isCounted, dependencies: shown };
    return c.json(answer, 200, { 'cache-control': 'no-store' });
  });
}
