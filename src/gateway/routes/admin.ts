import { type OpenAPIHono, z } from '@hono/zod-openapi';
import { formatToken, type Token } from '../../cache/clock/clock.ts';
import { Bundle, INLINE_BYTES_MAX, parseBundle } from '../../inference/bundle.ts';
import { modelTag, publish, type RegistryPorts } from '../../inference/registry.ts';
import { Failure } from '../../platform/failure.ts';
import { parsed, readJson } from '../body.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { json, keySecurity, problem } from '../openapi.ts';
import { type ArtifactPorts, registerArtifacts } from './artifacts.ts';

/** Both artifacts in base64, and room for the manifest and the golden rows. */
const BUNDLE_BYTES_MAX = Math.ceil((2 * INLINE_BYTES_MAX * 4) / 3) + 1024 * 1024;

const PipelineQuery = z.object({ source: z.string().max(512).optional() });
const Swept = z.object({ relayed: z.int() });
const Counts = z.record(z.string(), z.int());
const PipelineCounts = z.object({
  events: z.object({ stored: z.int() }),
  quarantine: Counts.openapi({ description: 'quarantined events that are open, by reason' }),
  outbox: z.object({ pending: z.int().openapi({ description: 'changes that are not relayed yet' }) }),
  features: z.object({ folded: Counts.openapi({ description: 'folded events, by entity' }) }),
  pruned: z
    .array(z.object({ target: z.string(), rows: z.int(), until: z.string() }))
    .openapi({ description: 'rows that retention has deleted, and the newest time among them' }),
});

export interface AdminPorts extends ArtifactPorts {
  /** Where model bundles are kept. */
  readonly registry: RegistryPorts;
  /** Returns once the root clock has the invalidation on disk. */
  readonly invalidate: (tags: readonly string[]) => Promise<Token>;
  /** Relays everything that was committed before the call. */
  readonly sweepOutbox: () => Promise<{ readonly relayed: number }>;
  /** Counts of every stage of the pipeline. With `source`, stages that know the source count only its events. */
  readonly pipeline: (source: string | undefined) => Promise<z.output<typeof PipelineCounts>>;
}

/** Publishes models, relays the outbox on demand, and shows the state of the pipeline. */
export function registerAdmin(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  adminOf: PortsOf<AdminPorts>,
): void {
  registerArtifacts(app, adminOf);
  app.openAPIRegistry.registerPath({
    method: 'put',
    path: '/v1/admin/models/{model}/champion',
    operationId: 'publishModel',
    summary: 'Publishes a model bundle and makes it the version that answers',
    tags: ['admin'],
    security: keySecurity,
    request: {
      params: z.object({ model: z.string().max(64) }),
      body: {
        required: true,
        content: { 'application/json': { schema: app.openAPIRegistry.register('ModelBundle', Bundle) } },
      },
    },
    responses: {
      201: json(
        'The version answers from now on. Reads with `Millrace-Token` use it.',
        z.object({ name: z.string(), version: z.string() }),
        ['Millrace-Token'],
      ),
      404: problem('The catalog declares no such model.'),
      422: problem(
        'The bundle is incomplete, does not fit the declaration, or does not reproduce its golden outputs.',
      ),
    },
  });
  app.put('/v1/admin/models/:model/champion', async (c) => {
    const { registry, invalidate } = adminOf(c);
    const definition = gateway.catalog.models.find(({ name }) => name === c.req.param('model'));
    const body = await readJson(c.req.raw, { bytesMax: BUNDLE_BYTES_MAX, types: ['application/json'] });
    if (definition === undefined) throw unknownModel(gateway.catalog.models);
    const bundle = parseBundle(body);
    await publish(definition, bundle, registry);
    const token = formatToken(await invalidate([modelTag(definition.name)]));
    return c.json({ name: definition.name, version: bundle.manifest.version }, 201, {
      'millrace-token': token,
    });
  });

  app.openAPIRegistry.registerPath({
    method: 'post',
    path: '/v1/admin/outbox/sweep',
    operationId: 'sweepOutbox',
    summary: 'Relays all committed changes now',
    tags: ['admin'],
    security: keySecurity,
    responses: { 200: json('How many changes were relayed.', Swept) },
  });
  app.post('/v1/admin/outbox/sweep', async (c) => {
    const answer: z.output<typeof Swept> = await adminOf(c).sweepOutbox();
    return c.json(answer);
  });

  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/admin/pipeline',
    operationId: 'getPipelineCounts',
    summary:
      'Counts the stored events, the quarantine by reason, the pending changes, the folded events, and the rows that retention has deleted',
    tags: ['admin'],
    security: keySecurity,
    request: { query: PipelineQuery },
    responses: {
      200: json(
        'Counts. With `source`, the stored events and the quarantine are only those of this source.',
        PipelineCounts,
      ),
    },
  });
  app.get('/v1/admin/pipeline', async (c) => {
    const { source } = parsed(PipelineQuery, c.req.query());
    const state = await adminOf(c).pipeline(source);
    return c.json(state, 200, { 'cache-control': 'no-store' });
  });
}

function unknownModel(models: readonly { readonly name: string }[]): Failure {
  const names = models.map(({ name }) => name).join(', ') || 'none';
  return new Failure('unknown_model', `The catalog declares no such model. Its models: ${names}.`, {
    pointer: 'model',
  });
}
