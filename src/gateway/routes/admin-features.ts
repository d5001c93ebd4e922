import { type OpenAPIHono, z } from '@hono/zod-openapi';
import { SHARDS_MAX, SHARDS_PER_ENTITY } from '../../features/layout.ts';
import type { ShardsOfEntity } from '../../features/move-shards.ts';
import { type BackfillProgress, FEATURE_STATES, type StateOfVersion } from '../../features/version-states.ts';
import { Failure } from '../../platform/failure.ts';
import { parsed } from '../body.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { json, keySecurity, problem } from '../openapi.ts';

export interface FeatureStatePorts {
  readonly read: () => Promise<{
    readonly versions: readonly StateOfVersion[];
    readonly shards: readonly ShardsOfEntity[];
    readonly backfill: BackfillProgress | undefined;
    /** Why the last step of a backfill failed. */
    readonly failure: string | undefined;
  }>;
  /** Lets the relay build what is not ready. It works on after the call. */
  readonly backfill: () => Promise<void>;
  /**
   * Begins to give an entity more shards; `backfill` goes on with it. As many as it has cancel that.
   *
   * @throws Failure `unprocessable`, `history_pruned`
   */
  readonly moveShards: (entity: string, shards: number) => Promise<void>;
}

const Request = z.object({
  entity: z
    .string()
    .min(1)
    .max(64)
    .optional()
    .openapi({ description: 'an entity that gets `shards` shards; the two go together' }),
  shards: z.coerce.number().int().min(SHARDS_PER_ENTITY).max(SHARDS_MAX).optional().openapi({
    description:
      'how many shards the entity gets. The new ones are filled from history while the old ones serve. As many as it has cancel that',
  }),
});

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
  shards: z
    .array(
      z.object({
        entity: z.string(),
        shards: z.int(),
        building: z.object({ shards: z.int(), events: z.int(), total: z.int() }).nullable().openapi({
          description: 'the shards that are being filled, with the events of history that they have, and all',
        }),
      }),
    )
    .openapi({ description: 'how many shards the features of each entity have' }),
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
    summary: 'Builds the features that are not ready from history now, and gives entities more shards',
    tags: ['admin'],
    security: keySecurity,
    request: { query: Request },
    responses: {
      202: json('The backfill works on. Its progress is that of `GET /v1/admin/features`.', States),
      409: problem('Retention has deleted events that new shards would need.'),
      422: problem('An entity has no features, or cannot have that many shards now.'),
      503: problem('The database or the relay does not answer.'),
    },
  });
  app.post('/v1/admin/features/backfill', async (c) => {
    const { entity, shards } = parsed(Request, c.req.query());
    if ((entity === undefined) !== (shards === undefined))
      throw new Failure('unprocessable', 'The parameters "entity" and "shards" go together.', {
        pointer: entity === undefined ? 'entity' : 'shards',
      });
    if (entity !== undefined && !gateway.catalog.features.some((one) => one.entity.name === entity))
      throw new Failure('unprocessable', `"${entity}" is no entity with features.`, { pointer: 'entity' });
    const detail = entity === undefined ? {} : { detail: { entity, shards } };
    const action = { action: 'features.backfill', target: 'features', ...detail };
    const answer = await gateway.audited(c, action, async () => {
      const ports = portsOf(c);
      if (entity !== undefined && shards !== undefined) await ports.moveShards(entity, shards);
      await ports.backfill();
      const result = await statesFrom(ports);
      return { result, after: { backfill: result.backfill } };
    });
    return c.json(answer, 202, { 'cache-control': 'no-store' });
  });
}

async function statesFrom(ports: FeatureStatePorts): Promise<z.output<typeof States>> {
  const { versions, shards, backfill, failure } = await ports.read();
  return {
    features: [...versions],
    shards: [...shards],
    backfill: backfill ?? null,
    failure: failure ?? null,
  };
}
