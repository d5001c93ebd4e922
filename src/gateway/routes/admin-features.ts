import { type OpenAPIHono, z } from '@hono/zod-openapi';
import { type BackfillProgress, FEATURE_STATES, type StateOfVersion } from '../../features/version-states.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { json, keySecurity, problem } from '../openapi.ts';

export interface FeatureStatePorts {
  readonly read: () => Promise<{
    readonly versions: readonly StateOfVersion[];
    readonly backfill: BackfillProgress | undefined;
    /** Why the last step of a backfill failed. */
    readonly failure: string | undefined;
  }>;
  /** Lets the relay build what is not ready. It works on after the call. */
  readonly backfill: () => Promise<void>;
}

const Version = z.object({
  entity: z.string(),
  feature: z.string(),
  digest: z.string().openapi({ description: 'SHA-256 of what decides over the values of the feature' }),
  state: z.enum(FEATURE_STATES).openapi({
    description:
      '`filling`: a backfill folds its events from history. `waiting`: no backfill has begun. `pruned`: retention has deleted events that its windows need, so reads get `NOT_READY` until the windows begin after them. `retired`: the catalog does not declare this version any more.',
  }),
  since: z
    .string()
    .nullable()
    .openapi({ description: 'since when it has the state; null before a backfill' }),
  suffix: z.string().openapi({
    description: 'appended to a name of the feature, it reads this version: `spent_7d` and `@0123456789ab`',
  }),
  readable: z.boolean().nullable().openapi({
    description:
      'whether reads get values of it. A retired version is read as of the moment when it was replaced, as long as its cells are kept. null: the shards did not answer',
  }),
  readableUntil: z.string().nullable().openapi({
    description: 'when the cells of a retired version are deleted; null if none are kept',
  }),
});
const States = z.object({
  features: z.array(Version).openapi({
    description: 'the features of the catalog, then at most 1,000 retired versions',
  }),
  backfill: z
    .object({ events: z.int(), total: z.int() })
    .nullable()
    .openapi({ description: 'the events of history that are read, and all; null if none is under way' }),
  failure: z.string().nullable().openapi({
    description:
      'why the last step of a backfill failed, such as an event that a definition refuses; it is repeated',
  }),
});

/** Shows the versions of the features, and builds those that are not ready. */
export function registerFeatureAdmin(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  portsOf: PortsOf<FeatureStatePorts>,
): void {
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/admin/features',
    operationId: 'listFeatureVersions',
    summary: 'Lists the versions of the features with their states, and the progress of a backfill',
    tags: ['admin'],
    security: keySecurity,
    responses: {
      200: json('The versions.', States),
      503: problem('The database does not answer.'),
    },
  });
  app.get('/v1/admin/features', async (c) => {
    const answer = await statesFrom(portsOf(c));
    return c.json(answer, 200, { 'cache-control': 'no-store' });
  });

  app.openAPIRegistry.registerPath({
    method: 'post',
    path: '/v1/admin/features/backfill',
    operationId: 'backfillFeatures',
    summary: 'Builds the features that are not ready from history now, and not with the next minute',
    tags: ['admin'],
    security: keySecurity,
    responses: {
      202: json('The backfill works on. Its progress is that of `GET /v1/admin/features`.', States),
      503: problem('The database or the relay does not answer.'),
    },
  });
  app.post('/v1/admin/features/backfill', async (c) => {
    const answer = await gateway.audited(c, { action: 'features.backfill', target: 'features' }, async () => {
      const ports = portsOf(c);
      await ports.backfill();
      const result = await statesFrom(ports);
      return { result, after: { backfill: result.backfill } };
    });
    return c.json(answer, 202, { 'cache-control': 'no-store' });
  });
}

async function statesFrom(ports: FeatureStatePorts): Promise<z.output<typeof States>> {
  const { versions, backfill, failure } = await ports.read();
  return { features: [...versions], backfill: backfill ?? null, failure: failure ?? null };
}
