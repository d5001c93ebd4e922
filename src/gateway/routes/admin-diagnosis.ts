import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Check } from '../../operations/diagnosis-rules.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { json, keySecurity } from '../openapi.ts';

export interface DiagnosisPorts {
  readonly version: string;
  /** The newest migration of Millrace's own tables that the worker was built with. */
  readonly migration: string;
  readonly now: () => number;
  /** Ends within two seconds, whatever hangs. */
  readonly diagnose: () => Promise<Check[]>;
}

const Diagnosis = z
  .object({
    version: z.string().openapi({ description: 'of Millrace' }),
    migration: z
      .string()
      .openapi({ description: "the newest migration of Millrace's tables that the worker knows" }),
    at: z.iso.datetime().openapi({ description: "the worker's clock" }),
    verdict: z.enum(['ok', 'warn', 'fail']).openapi({ description: 'the worst of all checks' }),
    checks: z.array(
      z.object({
        name: z.string(),
        verdict: z.enum(['ok', 'warn', 'fail']),
        detail: z.string().openapi({ description: 'what was found' }),
        advice: z.string().optional().openapi({ description: 'what to do; absent for `ok`' }),
      }),
    ),
  })
  .openapi('Diagnosis');

/** Examines everything that the deployment depends on. A part that hangs or fails is a line of the answer, and no error. */
export function registerDiagnosis(
  app: OpenAPIHono<AppEnv>,
  _: Gateway,
  portsOf: PortsOf<DiagnosisPorts>,
): void {
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/admin/diagnosis',
    operationId: 'getDiagnosis',
    summary: 'Examines the deployment, and says what to do about each fault; answers within two seconds',
    tags: ['admin'],
    security: keySecurity,
    responses: { 200: json('Each part with its verdict.', Diagnosis) },
  });
  app.get('/v1/admin/diagnosis', async (c) => {
    const { version, migration, now, diagnose } = portsOf(c);
    const at = new Date(now()).toISOString();
    const checks = (await diagnose()).map(({ isUnknown: _, ...shown }) => shown);
    const verdict =
      (['fail', 'warn'] as const).find((worst) => checks.some((of) => of.verdict === worst)) ?? 'ok';
    return c.json({ version, migration, at, verdict, checks }, 200, { 'cache-control': 'no-store' });
  });
}
