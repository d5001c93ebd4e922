import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { formatToken } from '../../cache/clock/clock.ts';
import type { ModelDefinition } from '../../define/model.ts';
import { Bundle, INLINE_BYTES_MAX, parseBundle } from '../../inference/bundle.ts';
import type { Measurement } from '../../inference/measure.ts';
import { Failure } from '../../platform/failure.ts';
import type { AliasTarget, NewVersion } from '../../storage/postgres/model-versions.ts';
import { auditingOwn } from '../audit/action.ts';
import { parsed, readJson, readOptionalJson } from '../body.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import type { ModelRegistryPorts } from '../models/registry-ports.ts';
import { ALIASES, Measured, ModelName, VersionName } from '../models/schemas.ts';
import { json, keySecurity, problem } from '../openapi.ts';

/** Both artifacts in base64, and room for the manifest, the golden rows and the card. */
const BUNDLE_BYTES_MAX = Math.ceil((2 * INLINE_BYTES_MAX * 4) / 3) + 1024 * 1024;
const BODY_BYTES_MAX = 4_096;

const Alias = z.enum(ALIASES);
const Expected = VersionName.nullable().optional().openapi({
  description: 'the version that the alias has to name until now, null for none; without it, any',
});
const Pointing = z.strictObject({
  version: VersionName.nullable().openapi({ description: 'null: the alias names no version any more' }),
  expected: Expected,
});
const RollingBack = z.strictObject({ alias: Alias.default('champion'), expected: Expected });
const Pointed = z.object({
  name: z.string(),
  alias: z.string(),
  version: z.string().nullable(),
  revision: z.int().openapi({ description: 'counts the changes of the alias' }),
});
const Published = z.object({ name: z.string(), version: z.string(), measured: Measured });
/** A bundle as the document has it. */
type BundleBody = {
  readonly required: boolean;
  readonly content: { 'application/json': { schema: typeof Bundle } };
};
const NOT_POINTED = 'The alias names another version than `expected`, or the version is withdrawn.';
const UNANSWERED = 'The database or the tag clock does not answer. You can safely send the request again.';

/** Registers versions of models, and lets aliases name them. Only what `champion` names answers requests. */
export function registerModelAdmin(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  portsOf: PortsOf<ModelRegistryPorts>,
): void {
  const schema = app.openAPIRegistry.register('ModelBundle', Bundle);
  const body = { required: true, content: { 'application/json': { schema } } };
  registerPublication(app, gateway, portsOf, body);
  registerVersions(app, gateway, portsOf, body);
  registerAliases(app, gateway, portsOf);
  registerRetirement(app, gateway, portsOf);
}

function registerPublication(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  portsOf: PortsOf<ModelRegistryPorts>,
  body: BundleBody,
): void {
  app.openAPIRegistry.registerPath({
    method: 'put',
    path: '/v1/admin/models/{model}/champion',
    operationId: 'publishModel',
    summary: 'Registers a version and makes it the one that answers',
    tags: ['admin'],
    security: keySecurity,
    request: {
      params: z.object({ model: ModelName }),
      body,
    },
    responses: {
      201: json('The version answers from now on. Reads with `Millrace-Token` use it.', Published, [
        'Millrace-Token',
      ]),
      404: problem('The catalog declares no such model.'),
      409: problem('The version was withdrawn.'),
      422: problem(
        'The bundle is incomplete, does not fit the declaration, does not reproduce its golden outputs, or is too slow.',
      ),
      503: problem(UNANSWERED),
    },
  });
  app.put('/v1/admin/models/:model/champion', async (c) => {
    const ports = portsOf(c);
    const { registered, measured } = await checked(c, gateway, ports);
    const { model: name, version } = registered;
    const target = {
      model: name,
      alias: 'champion',
      version,
      expected: undefined,
      reason: 'publish',
    } as const;
    const pointed = await ports.point(target, auditingOwn(c), registered);
    if (pointed === undefined) throw await notPointed(target, ports);
    return c.json({ name, version, measured }, 201, { 'millrace-token': formatToken(pointed.token) });
  });
}

function registerVersions(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  portsOf: PortsOf<ModelRegistryPorts>,
  body: BundleBody,
): void {
  app.openAPIRegistry.registerPath({
    method: 'post',
    path: '/v1/admin/models/{model}/versions',
    operationId: 'registerModelVersion',
    summary: 'Checks a version, measures it, and registers it; no alias names it yet',
    tags: ['admin'],
    security: keySecurity,
    request: {
      params: z.object({ model: ModelName }),
      body,
    },
    responses: {
      200: json('The version was registered before, and stays as it was.', Published),
      201: json('The version is registered.', Published),
      404: problem('The catalog declares no such model.'),
      422: problem(
        'The bundle is incomplete, does not fit the declaration, does not reproduce its golden outputs, or is too slow.',
      ),
      503: problem(UNANSWERED),
    },
  });
  app.post('/v1/admin/models/:model/versions', async (c) => {
    const ports = portsOf(c);
    const { registered, measured } = await checked(c, gateway, ports);
    const isNew = await ports.register(registered, auditingOwn(c));
    return c.json({ name: registered.model, version: registered.version, measured }, isNew ? 201 : 200);
  });
}

function registerAliases(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  portsOf: PortsOf<ModelRegistryPorts>,
): void {
  const responses = {
    404: problem('The catalog declares no such model, or no such version is registered.'),
    409: problem(NOT_POINTED),
    503: problem(UNANSWERED),
  };
  app.openAPIRegistry.registerPath({
    method: 'put',
    path: '/v1/admin/models/{model}/aliases/{alias}',
    operationId: 'setModelAlias',
    summary: 'Lets an alias name another version; `champion` is the one that answers',
    tags: ['admin'],
    security: keySecurity,
    request: {
      params: z.object({ model: ModelName, alias: Alias }),
      body: { required: true, content: { 'application/json': { schema: Pointing } } },
    },
    responses: { 200: json('The alias names the version.', Pointed, ['Millrace-Token']), ...responses },
  });
  app.put('/v1/admin/models/:model/aliases/:alias', async (c) => {
    const body = await readJson(c.req.raw, { bytesMax: BODY_BYTES_MAX, types: ['application/json'] });
    const { name } = modelAt(c, gateway);
    const { alias } = parsed(z.object({ alias: Alias }), c.req.param());
    const { version, expected } = parsed(Pointing, body);
    const reason = version === null ? 'clear' : alias === 'champion' ? 'promote' : 'set';
    return await pointed(c, portsOf(c), { model: name, alias, version, expected, reason });
  });
  app.openAPIRegistry.registerPath({
    method: 'post',
    path: '/v1/admin/models/{model}/rollback',
    operationId: 'rollBackModel',
    summary: 'Lets an alias name the version that it named before',
    tags: ['admin'],
    security: keySecurity,
    request: {
      params: z.object({ model: ModelName }),
      body: { required: false, content: { 'application/json': { schema: RollingBack } } },
    },
    responses: {
      200: json('The alias names the earlier version.', Pointed, ['Millrace-Token']),
      ...responses,
    },
  });
  app.post('/v1/admin/models/:model/rollback', async (c) => {
    const body = await readOptionalJson(c.req.raw, { bytesMax: BODY_BYTES_MAX, types: ['application/json'] });
    const { name } = modelAt(c, gateway);
    const { alias, expected } = parsed(RollingBack, body);
    const ports = portsOf(c);
    const { current, previous } = await ports.previous(name, alias);
    if (expected !== undefined && expected !== current) throw aliasChanged(alias, current);
    if (previous === undefined)
      throw new Failure('no_earlier_version', `"${alias}" has named no earlier version that may answer.`);
    const target = { model: name, alias, version: previous, expected: current, reason: 'rollback' } as const;
    return await pointed(c, ports, target);
  });
}

function registerRetirement(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  portsOf: PortsOf<ModelRegistryPorts>,
): void {
  app.openAPIRegistry.registerPath({
    method: 'post',
    path: '/v1/admin/models/{model}/versions/{version}/retire',
    operationId: 'retireModelVersion',
    summary: 'Withdraws a version for good: no alias can name it any more',
    tags: ['admin'],
    security: keySecurity,
    request: { params: z.object({ model: ModelName, version: VersionName }) },
    responses: {
      200: json(
        'The version is withdrawn, now or earlier.',
        z.object({ name: z.string(), version: z.string() }),
      ),
      404: problem('The catalog declares no such model, or no such version is registered.'),
      409: problem('An alias names the version.'),
      503: problem(UNANSWERED),
    },
  });
  app.post('/v1/admin/models/:model/versions/:version/retire', async (c) => {
    const { name } = modelAt(c, gateway);
    const { version } = parsed(z.object({ version: VersionName }), c.req.param());
    const ports = portsOf(c);
    if (await ports.retire({ model: name, version }, auditingOwn(c))) return c.json({ name, version }, 200);
    if ((await ports.version(name, version)) === undefined) throw noVersion(name, version);
    throw new Failure('version_in_use', 'An alias names the version. Let it name another version first.', {
      pointer: 'version',
    });
  });
}

/** Reads a bundle from the body, and checks it. */
async function checked(
  c: Context<AppEnv>,
  gateway: Gateway,
  ports: ModelRegistryPorts,
): Promise<{ readonly registered: NewVersion; readonly measured: Measurement }> {
  const body = await readJson(c.req.raw, { bytesMax: BUNDLE_BYTES_MAX, types: ['application/json'] });
  const definition = modelAt(c, gateway);
  const bundle = parseBundle(body);
  const measured = await ports.check(definition, bundle);
  const { manifest, card = '' } = bundle;
  const { name: model, version } = manifest;
  return { registered: { model, version, manifest: JSON.stringify(manifest), card, measured }, measured };
}

async function pointed(
  c: Context<AppEnv>,
  ports: ModelRegistryPorts,
  target: AliasTarget,
): Promise<Response> {
  const changed = await ports.point(target, auditingOwn(c));
  if (changed === undefined) throw await notPointed(target, ports);
  const { model: name, alias, version } = target;
  return c.json({ name, alias, version, revision: changed.revision }, 200, {
    'millrace-token': formatToken(changed.token),
  });
}

/** Why an alias was not changed. */
async function notPointed(
  { model, alias, version }: AliasTarget,
  ports: ModelRegistryPorts,
): Promise<Failure> {
  const registered = version === null ? undefined : await ports.version(model, version);
  if (version !== null && registered === undefined) return noVersion(model, version);
  if (registered !== undefined && registered.retiredAt !== null)
    return new Failure('alias_changed', `The version was withdrawn at ${registered.retiredAt}.`, {
      pointer: '/version',
    });
  return aliasChanged(alias, (await ports.previous(model, alias)).current);
}

function aliasChanged(alias: string, current: string | null): Failure {
  return new Failure('alias_changed', `"${alias}" names ${current ?? 'no version'}.`, {
    pointer: '/expected',
  });
}

function noVersion(model: string, version: string): Failure {
  return new Failure('not_found', `No version ${version} of "${model}" is registered.`, {
    pointer: '/version',
  });
}

/** @throws Failure `unknown_model` */
export function modelAt(c: Context<AppEnv>, { catalog }: Gateway): ModelDefinition {
  const definition = catalog.models.find(({ name }) => name === c.req.param('model'));
  if (definition !== undefined) return definition;
  const names = catalog.models.map(({ name }) => name).join(', ') || 'none';
  throw new Failure('unknown_model', `The catalog declares no such model. Its models: ${names}.`, {
    pointer: 'model',
  });
}
