import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { ModelDefinition } from '../../define/model.ts';
import { Manifest } from '../../inference/bundle.ts';
import { SegmentAnswerers } from '../../inference/segments.ts';
import { Failure } from '../../platform/failure.ts';
import type { RegisteredVersion } from '../../storage/postgres/model-versions.ts';
import { parsed } from '../body.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import type { ModelRegistryPorts } from '../models/registry-ports.ts';
import { ALIASES, Measured, ModelName, VersionName } from '../models/schemas.ts';
import { json, keySecurity, problem } from '../openapi.ts';
import { modelAt } from './admin-models.ts';

const LIMIT_MAX = 100;

const Limit = z.strictObject({ limit: z.coerce.number().int().min(1).max(LIMIT_MAX).default(20) });
const Segments = SegmentAnswerers.nullable().openapi({
  description: 'who answers new and returning entities; null if the evaluation of the version does not say',
});
const Named = z.object({
  version: z.string(),
  since: z.string().openapi({ description: 'when the alias was given to the version' }),
  by: z.string().openapi({ description: 'who gave it' }),
  segments: Segments,
});
const Shown = z
  .object({
    name: z.string(),
    task: z.enum(['regression', 'classification', 'ranking']),
    description: z.string(),
    entity: z.string(),
    path: z.string().nullable().openapi({ description: 'where GET asks for the prediction of an entity' }),
    aliases: z.partialRecord(z.enum(ALIASES), Named),
  })
  .openapi('Model');
const VersionShown = z
  .object({
    version: z.string(),
    registeredAt: z.string(),
    registeredBy: z.string(),
    retiredAt: z.string().nullable(),
    bytesRemovedAt: z.string().optional().openapi({
      description:
        'when retention deleted the artifacts of the withdrawn version; absent while they are kept',
    }),
    measured: Measured,
    metrics: z.record(z.string(), z.unknown()),
    trainedFrom: z.record(z.string(), z.unknown()),
    bytes: z.int().openapi({ description: 'of the graph' }),
    sha256: z.string().openapi({ description: 'of the graph' }),
    segments: Segments,
  })
  .openapi('ModelVersion');
const Change = z.object({
  alias: z.string(),
  revision: z.int(),
  version: z.string().nullable(),
  reason: z.string(),
  at: z.string(),
  by: z.string(),
});
const Detail = Shown.extend({
  versions: z.array(VersionShown).openapi({ description: 'the newest first' }),
  history: z.array(Change).openapi({ description: 'changes of aliases, the newest first' }),
}).openapi('ModelWithVersions');
const WithCard = VersionShown.extend({
  name: z.string(),
  card: z.string().openapi({ description: 'Markdown; empty if the version has no card' }),
  manifest: Manifest,
}).openapi('ModelVersionWithCard');

/** Shows the models of the catalog, their versions, and what their aliases name. */
export function registerModels(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  portsOf: PortsOf<ModelRegistryPorts>,
): void {
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/models',
    operationId: 'listModels',
    summary: 'Lists the models of the catalog, and the versions that their aliases name',
    tags: ['models'],
    security: keySecurity,
    responses: {
      200: json('The models.', z.object({ models: z.array(Shown) })),
      503: problem('The database does not answer.'),
    },
  });
  app.get('/v1/models', async (c) => {
    const aliases = await portsOf(c).aliases();
    const models = gateway.catalog.models.map((model) =>
      shown(
        model,
        aliases.filter((alias) => alias.model === model.name),
      ),
    );
    return c.json({ models }, 200, NOT_STORED);
  });

  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/models/{model}',
    operationId: 'getModel',
    summary: 'Shows a model, its newest versions, and the history of its aliases',
    tags: ['models'],
    security: keySecurity,
    request: { params: z.object({ model: ModelName }), query: Limit },
    responses: {
      200: json('The model.', Detail),
      404: problem('The catalog declares no such model.'),
      503: problem('The database does not answer.'),
    },
  });
  app.get('/v1/models/:model', async (c) => {
    const definition = modelAt(c, gateway);
    const { limit } = parsed(Limit, c.req.query());
    const ports = portsOf(c);
    const [aliases, versions, history] = await Promise.all([
      ports.aliases(),
      ports.versions(definition.name, limit),
      ports.history(definition.name, limit),
    ]);
    const own = aliases.filter(({ model }) => model === definition.name);
    const changes = history.map(({ changedAt: at, changedBy: by, ...change }) => ({ ...change, at, by }));
    return c.json(
      { ...shown(definition, own), versions: versions.map(versionShown), history: changes },
      200,
      NOT_STORED,
    );
  });

  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/models/{model}/versions/{version}',
    operationId: 'getModelVersion',
    summary: 'Shows a version with its card, its manifest and what its registration measured',
    tags: ['models'],
    security: keySecurity,
    request: { params: z.object({ model: ModelName, version: VersionName }) },
    responses: {
      200: json('The version.', WithCard),
      404: problem('The catalog declares no such model, or no such version is registered.'),
      503: problem('The database does not answer.'),
    },
  });
  app.get('/v1/models/:model/versions/:version', async (c) => {
    const { name } = modelAt(c, gateway);
    const { version } = parsed(z.object({ version: VersionName }), { version: c.req.param('version') });
    const found = await portsOf(c).version(name, version);
    if (found === undefined)
      throw new Failure('not_found', `No version ${version} of "${name}" is registered.`, {
        pointer: 'version',
      });
    const { card } = found;
    return c.json({ ...versionShown(found), name, card, manifest: manifestOf(found) }, 200, NOT_STORED);
  });
}

const NOT_STORED = { 'cache-control': 'no-store' };

type Aliases = Awaited<ReturnType<ModelRegistryPorts['aliases']>>;

function shown(definition: ModelDefinition, aliases: Aliases): z.output<typeof Shown> {
  const { name, task, description, entity } = definition;
  const named = ALIASES.flatMap((alias) => {
    const found = aliases.find((change) => change.alias === alias);
    if (found === undefined || found.version === null) return [];
    const { version, changedAt: since, changedBy: by } = found;
    const segments = SegmentAnswerers.nullable().parse(found.segments ?? null);
    return [[alias, { version, since, by, segments }] as const];
  });
  return {
    name,
    task,
    description,
    entity: entity.name,
    path: definition.path ?? null,
    aliases: Object.fromEntries(named),
  };
}

function manifestOf({ manifest }: RegisteredVersion): Manifest {
  return Manifest.parse(JSON.parse(manifest));
}

function versionShown(found: RegisteredVersion): z.output<typeof VersionShown> {
  const { version, registeredAt, registeredBy, retiredAt, bytesRemovedAt, measured } = found;
  const { metrics, trainedFrom, model, segments = null } = manifestOf(found);
  return {
    ...{ version, registeredAt, registeredBy, retiredAt },
    ...(bytesRemovedAt === null ? {} : { bytesRemovedAt }),
    measured: Measured.parse(measured),
    ...{ metrics, trainedFrom, bytes: model.bytes, sha256: model.sha256, segments },
  };
}
