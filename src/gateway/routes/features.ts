import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { Catalog } from '../../define/catalog.ts';
import { readNames } from '../../define/feature.ts';
import { type FeatureRow, READ_KEYS_MAX, readFeatures, type ShardPort } from '../../features/shards.ts';
import { systemNow } from '../../platform/clock.ts';
import { Failure } from '../../platform/failure.ts';
import { parsed, readJson } from '../body.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { canonicalKey, EntityKey } from '../entity-key.ts';
import { json, keySecurity, problem } from '../openapi.ts';

const BODY_BYTES_MAX = 65_536;
const ReadRequest = z.strictObject({
  entity: z.string().min(1).max(64),
  keys: z.array(EntityKey).min(1).max(READ_KEYS_MAX),
  features: z.array(z.string().min(1).max(128)).min(1).max(256).optional(),
});

const FeatureValue = z.object({
  value: z.union([
    z.number(),
    z.null(),
    z.array(z.object({ item: z.string(), count: z.number(), lastAt: z.int() })),
  ]),
  status: z.enum(['PRESENT', 'NOT_FOUND']).openapi({
    description:
      '`NOT_FOUND`: no event has contributed to it, within its longest window if it has windows. A count is then 0, and a time is null.',
  }),
  eventAt: z.int().nullable().openapi({ description: 'when the newest event behind it happened' }),
});
const ReadAnswer = z
  .object({
    entity: z.string(),
    asOf: z.int(),
    results: z.array(z.object({ key: EntityKey, features: z.record(z.string(), FeatureValue) })),
  })
  .openapi('Features');

/** The request with the names of the entities that have features. */
function describedRequest({ features }: Catalog) {
  const names = [...new Set(features.map(({ entity }) => entity.name))];
  return names.length === 0 ? ReadRequest : ReadRequest.extend({ entity: z.enum(names) });
}

export interface FeaturePorts {
  readonly shards: Pick<ShardPort, 'read'>;
}

/** Serves the online features of up to a hundred entities. */
export function registerFeatures(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  featuresOf: PortsOf<FeaturePorts>,
): void {
  app.openAPIRegistry.registerPath({
    method: 'post',
    path: '/v1/features/read',
    operationId: 'queryFeatures',
    summary: 'Features of up to a hundred entities, each with its status and the time of its newest event',
    tags: ['features'],
    security: keySecurity,
    request: {
      body: {
        required: true,
        content: { 'application/json': { schema: describedRequest(gateway.catalog) } },
      },
    },
    responses: {
      200: json(
        'One result for each key, in the order of the keys; times are in milliseconds since the Unix epoch.',
        ReadAnswer,
      ),
      422: problem('The entity or a feature is not declared, or a key is none of the entity.'),
    },
  });
  app.post('/v1/features/read', async (c) => {
    const body = await readBody(c, gateway);
    const { entity, keys, features } = parsed(ReadRequest, body);
    const names = wantedNames(gateway.catalog, entity, features);
    const texts = canonicalKeys(gateway.catalog, entity, keys);
    const asOf = systemNow();
    const rows = await readFeatures(entity, texts, asOf, featuresOf(c).shards);
    return c.json({
      entity,
      asOf,
      results: keys.map((key, index) => ({ key, features: pick(rows[index], names) })),
    });
  });
}

/**
 * The body of a reader who has the key, or reads a public entity. A reader without the key who sends anything else gets
 * a 401, so the answer does not reveal whether the entity or its keys exist.
 */
async function readBody(c: Context<AppEnv>, { catalog, admit }: Gateway): Promise<unknown> {
  const open = catalog.entities.filter(({ isPublic }) => isPublic);
  const guard = { scope: 'data:read' } as const;
  const principal = await admit(c, { ...guard, isPublic: open.length > 0 });
  const reading = readJson(c.req.raw, { bytesMax: BODY_BYTES_MAX, types: ['application/json'] });
  const body = await (principal.kind === 'anonymous' ? reading.catch(() => undefined) : reading);
  if (!open.some(({ name }) => isOf(body, name))) await admit(c, { ...guard, isPublic: false });
  return body;
}

function isOf(body: unknown, entity: string): boolean {
  return typeof body === 'object' && body !== null && 'entity' in body && body.entity === entity;
}

function canonicalKeys(
  catalog: Catalog,
  name: string,
  keys: readonly z.output<typeof EntityKey>[],
): string[] {
  const entity = catalog.features.find((definition) => definition.entity.name === name)?.entity;
  // `wantedNames` has refused an entity without features.
  return entity === undefined ? [] : keys.map((key, index) => canonicalKey(entity, key, `/keys/${index}`));
}

function wantedNames(catalog: Catalog, entity: string, wanted: readonly string[] | undefined): string[] {
  const declared = catalog.features
    .filter((definition) => definition.entity.name === entity)
    .flatMap(readNames);
  if (declared.length === 0) {
    throw new Failure('unknown_entity', `The catalog declares no features of "${entity}".`, {
      pointer: '/entity',
    });
  }
  if (wanted === undefined) return declared;
  const unknown = wanted.findIndex((name) => !declared.includes(name));
  if (unknown >= 0) {
    throw new Failure('unknown_feature', `"${entity}" has the features ${declared.join(', ')}.`, {
      pointer: `/features/${unknown}`,
    });
  }
  return [...wanted];
}

function pick(row: FeatureRow | undefined, names: readonly string[]): FeatureRow {
  return Object.fromEntries(names.flatMap((name) => (row?.[name] === undefined ? [] : [[name, row[name]]])));
}
