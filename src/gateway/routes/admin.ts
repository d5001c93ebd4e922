import { type OpenAPIHono, z } from '@hono/zod-openapi';
import { formatToken } from '../../cache/clock/token.ts';
import type { Services } from '../../composition/services.ts';
import { shardsOf } from '../../features/shards.ts';
import { Bundle, CANDIDATES_BYTES_MAX, MODEL_BYTES_MAX, parseBundle } from '../../inference/bundle.ts';
import { modelTag, publish } from '../../inference/registry.ts';
import { Failure } from '../../platform/failure.ts';
import { guarded } from '../../storage/postgres/connect.ts';
import { countStored } from '../../storage/postgres/event-store.ts';
import { countPending } from '../../storage/postgres/outbox.ts';
import { countByReason } from '../../storage/postgres/quarantine.ts';
import { readPruned } from '../../storage/postgres/retention.ts';
import { readJson } from '../body.ts';
import type { AppEnv, Gateway } from '../context.ts';
import { keySecurity, problem } from '../openapi.ts';

/** Both artifacts in base64, and room for the manifest and the golden rows. */
const BUNDLE_BYTES_MAX = Math.ceil(((MODEL_BYTES_MAX + CANDIDATES_BYTES_MAX) * 4) / 3) + 1024 * 1024;

export function registerAdmin(app: OpenAPIHono<AppEnv>, gateway: Gateway): void {
  app.openAPIRegistry.registerPath({
    method: 'put',
    path: '/v1/admin/models/{model}/champion',
    summary: 'Publishes a model bundle and makes it the version that answers',
    tags: ['admin'],
    security: keySecurity,
    request: {
      params: z.object({ model: z.string() }),
      body: {
        required: true,
        content: { 'application/json': { schema: app.openAPIRegistry.register('ModelBundle', Bundle) } },
      },
    },
    responses: {
      201: {
        description: 'It answers from now on; `Millrace-Token` names the change.',
        content: {
          'application/json': { schema: z.object({ name: z.string(), version: z.string() }) },
        },
      },
      404: problem('The catalog declares no such model.'),
      422: problem('The bundle is not whole, or its golden outputs are not reproduced.'),
    },
  });
  app.put('/v1/admin/models/:model/champion', async (c) => {
    const services = gateway.servicesOf(c);
    const definition = gateway.catalog.models.find(({ name }) => name === c.req.param('model'));
    const body = await readJson(c.req.raw, { bytesMax: BUNDLE_BYTES_MAX, types: ['application/json'] });
    if (definition === undefined) throw unknownModel(gateway.catalog.models);
    const bundle = parseBundle(body);
    await publish(definition, bundle, services.registry);
    const token = formatToken(await services.invalidate([modelTag(definition.name)]));
    return c.json({ name: definition.name, version: bundle.manifest.version }, 201, {
      'millrace-token': token,
    });
  });

  app.openAPIRegistry.registerPath({
    method: 'post',
    path: '/v1/admin/outbox/sweep',
    summary: 'Relays all committed changes now',
    tags: ['admin'],
    security: keySecurity,
    responses: { 200: { description: 'How many changes were relayed.' } },
  });
  app.post('/v1/admin/outbox/sweep', async (c) => c.json(await gateway.servicesOf(c).relay().sweep()));

  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/admin/pipeline',
    summary:
      'What is stored, in quarantine by reason, waiting to be relayed, folded, and deleted by retention',
    tags: ['admin'],
    security: keySecurity,
    request: { query: z.object({ source: z.string().max(512).optional() }) },
    responses: {
      200: { description: 'Counts; with `source`, those of its events alone where they have one.' },
    },
  });
  app.get('/v1/admin/pipeline', async (c) => {
    const { db } = gateway.servicesOf(c);
    const source = c.req.query('source');
    const [stored, quarantine, pending, pruned] = await guarded(() =>
      Promise.all([countStored(db, source), countByReason(db, source), countPending(db), readPruned(db)]),
    );
    const features = { folded: await foldedByEntity(gateway.servicesOf(c)) };
    const state = { events: { stored }, quarantine, outbox: { pending }, features, pruned };
    return c.json(state, 200, { 'cache-control': 'no-store' });
  });
}

async function foldedByEntity({ catalog, shards }: Services): Promise<Record<string, number>> {
  const entities = [...new Set(catalog.features.map(({ entity }) => entity.name))];
  const counts = await Promise.all(
    entities.map(async (entity) => {
      const perShard = await Promise.all(shardsOf(entity).map((shard) => shards.foldedEvents(shard)));
      return [entity, perShard.reduce((sum, events) => sum + events, 0)] as const;
    }),
  );
  return Object.fromEntries(counts);
}

function unknownModel(models: readonly { readonly name: string }[]): Failure {
  const names = models.map(({ name }) => name).join(', ') || 'none';
  return new Failure('unknown_model', `The catalog declares no such model. Its models: ${names}.`, {
    pointer: 'model',
  });
}
