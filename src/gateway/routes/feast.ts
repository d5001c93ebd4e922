import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { EntityDefinition } from '../../define/entity.ts';
import type { DerivedFeature } from '../../define/feature-derived.ts';
import { type AnsweredValue, answerOf } from '../../features/answer.ts';
import type { ReadRows } from '../../features/row-cache.ts';
import { READ_KEYS_MAX } from '../../features/shards.ts';
import { BATCH_EVENTS_MAX } from '../../pipeline/cloud-event.ts';
import { systemNow } from '../../platform/clock.ts';
import { sha256Hex } from '../../platform/digest.ts';
import { Failure } from '../../platform/failure.ts';
import { parsed, readJson } from '../body.ts';
import { consistencyOf } from '../cached-response.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { OnlineFeatures, onlineFeatures, type RowValues } from '../feast/answer.ts';
import { type DataFrame, pushedEvents } from '../feast/push.ts';
import { FEATURES_MAX, type WantedFeature, wantedFeatures } from '../feast/references.ts';
import { type Columns, type EntityRows, rowCount, rowsOf } from '../feast/rows.ts';
import { unitsOf } from '../limits/weights.ts';
import { consistencyHeaders, json, keySecurity, problem } from '../openapi.ts';
import { assertOwnRow } from '../principals/row-access.ts';
import { type EventPorts, IngestAnswer, throwIfRefused } from './events.ts';
import { cacheStatusOf, type FeaturePorts, readsOf, rowOf } from './features.ts';

/**
 * The routes of Feast's feature server that its clients use (feast/feature_server.py of Feast 0.67), over the features and
 * the event types of the catalog.
 */

/** A hundred rows of a few columns at their longest; a thousand rows of events of an ordinary size. */
const READ_BYTES_MAX = 524_288;
const PUSH_BYTES_MAX = 4 * 1024 * 1024;
/** Columns of keys, and fields for derived features. */
const COLUMNS_MAX = 128;
const Name = z.string().max(256);

/** Other members are ignored, as Feast's server does. */
const OnlineRequest = z.object({
  features: z
    .array(Name)
    .default([])
    .openapi({ description: '`<entity>:<feature>`', maxItems: FEATURES_MAX }),
  feature_service: Name.nullish().openapi({
    description:
      'instead of `features`: a model, for the features that it reads, or an entity, for all of its own',
  }),
  entities: z
    .record(Name, z.array(z.unknown()).openapi({ maxItems: READ_KEYS_MAX }))
    .refine((columns) => Object.keys(columns).length <= COLUMNS_MAX)
    .openapi({
      description:
        'columns with a value for each row: the parts of each key as `<entity>_<part>`, and the fields of derived features',
    }),
  full_feature_names: z.boolean().default(false),
});

/** The document states the limits of lists; the code that reads them refuses longer ones with the codes of these routes. */
const Column = z.array(z.unknown()).openapi({ maxItems: BATCH_EVENTS_MAX });
const Frame = z.record(Name, z.union([Column, z.record(z.string(), z.unknown())])).openapi({
  description: 'columns with a value for each row; `event_timestamp` has the times of the events',
});
const PushRequest = z.object({
  push_source_name: Name.openapi({ description: 'a type of events' }),
  df: Frame,
  to: z.enum(['online', 'offline', 'online_and_offline']).default('online'),
});
const WriteRequest = z.object({
  feature_view_name: Name.openapi({ description: 'a type of events' }),
  df: Frame,
});

export interface FeastPorts {
  readonly features: FeaturePorts;
  readonly events: Pick<EventPorts, 'take'>;
}

export function registerFeast(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  portsOf: PortsOf<FeastPorts>,
): void {
  registerHealthOfFeast(app);
  registerRead(app, gateway, portsOf);
  registerPush(app, gateway, portsOf, {
    path: '/push',
    operationId: 'pushToFeast',
    summary: 'Feast’s push: stores each row of a data frame as an event of the type that is the source',
    schema: PushRequest,
    pointer: '/push_source_name',
    pushOf: (body) => {
      const { push_source_name: source, df, to } = parsed(PushRequest, body);
      if (to === 'offline')
        throw new Failure(
          'unprocessable',
          'An event is stored and counts online as well. Push to "online_and_offline".',
          { pointer: '/to' },
        );
      return { source, df };
    },
  });
  registerPush(app, gateway, portsOf, {
    path: '/write-to-online-store',
    operationId: 'writeToFeast',
    summary: 'What Feast’s client sends for `push`: the same, with a type of events as the feature view',
    schema: WriteRequest,
    pointer: '/feature_view_name',
    pushOf: (body) => {
      const { feature_view_name: source, df } = parsed(WriteRequest, body);
      return { source, df };
    },
  });
}

function registerHealthOfFeast(app: OpenAPIHono<AppEnv>): void {
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/health',
    operationId: 'getFeastHealth',
    summary: 'Feast’s health check: the worker runs',
    tags: ['feast'],
    responses: { 200: json('The worker runs.', z.object({ status: z.literal('ok') })) },
  });
  app.get('/health', (c) => c.json({ status: 'ok' }, 200, { 'cache-control': 'no-store' }));
}

function registerRead(app: OpenAPIHono<AppEnv>, gateway: Gateway, portsOf: PortsOf<FeastPorts>): void {
  app.openAPIRegistry.registerPath({
    method: 'post',
    path: '/get-online-features',
    operationId: 'getOnlineFeatures',
    summary: 'Features of up to a hundred rows, in the form of Feast’s server',
    tags: ['feast'],
    security: keySecurity,
    request: {
      headers: consistencyHeaders,
      body: { required: true, content: { 'application/json': { schema: OnlineRequest } } },
    },
    responses: {
      200: json('A result for each column of a key and for each feature.', OnlineFeatures, ['Cache-Status']),
      412: problem('`Millrace-Token` is from another epoch of the clock, or from the future.'),
      422: problem(
        'The entity or a feature is not declared, a version is not kept, or a value is no key of the entity.',
      ),
    },
  });
  app.post('/get-online-features', async (c) => {
    const { wanted, request } = await readRequest(c, gateway);
    const count = rowCount(request.entities);
    const entities = [...new Set(wanted.map(({ entity }) => entity))];
    const keys = entities.map((entity) => rowsOf(entity, request.entities, count));
    assertOwn(c, keys);
    const asked = keys.map((of) => ({ of, reads: readsOf(namesOf(wanted, of.entity)) }));
    const calls = asked.reduce((sum, { reads }) => sum + reads.length, 0);
    const units = unitsOf('features') + unitsOf('featuresOfKey', count * calls);
    await gateway.charge(c, { cost: 'features', units });
    const now = systemNow();
    const consistency = consistencyOf(c.req.raw.headers);
    const reads = await Promise.all(
      asked.map(({ of: { entity, keys: texts }, reads: versionsOf }) =>
        Promise.all(
          versionsOf.map((versions) =>
            portsOf(c).features.read({ entity: entity.name, keys: texts, now, versions }, consistency),
          ),
        ),
      ),
    );
    c.header('cache-status', cacheStatusOf(reads.flat()));
    const rows = valuesOf(wanted, keys, request.entities, { reads, now });
    return c.json(onlineFeatures(wanted, keys, request.entities, rows));
  });
}

/**
 * The request of a reader who has the key, or reads public entities alone. A reader without the key who sends anything else
 * gets a 401, so the answer does not reveal what exists.
 */
async function readRequest(c: Context<AppEnv>, { catalog, admit }: Gateway) {
  const guard = { scope: 'data:read', limitsRows: true } as const;
  const principal = await admit(c, { ...guard, isPublic: catalog.entities.some(({ isPublic }) => isPublic) });
  const reading = async () => {
    const body = await readJson(c.req.raw, { bytesMax: READ_BYTES_MAX, types: ['application/json'] });
    const request = parsed(OnlineRequest, body);
    return { request, wanted: wantedFeatures(catalog, request) };
  };
  const read = await (principal.kind === 'anonymous' ? reading().catch(() => undefined) : reading());
  const isOpen = read?.wanted.every(({ entity }) => entity.isPublic) ?? false;
  if (!isOpen) await admit(c, { ...guard, isPublic: false });
  return read ?? (await reading());
}

/** @throws Failure `claim_missing`, `outside_rows`, `rows_not_limited` */
function assertOwn(c: Context<AppEnv>, keys: readonly EntityRows[]): void {
  const principal = c.get('principal');
  if (principal === undefined) return;
  for (const { entity, columns, keys: texts } of keys) {
    if (entity.isPublic) continue;
    for (const [row, text] of texts.entries())
      assertOwnRow(principal, entity, text, `/entities/${columns[0]}/${row}`);
  }
}

/** The names of an entity's features in a request. */
function namesOf(wanted: readonly WantedFeature[], of: EntityDefinition): string[] {
  return wanted.filter(({ entity }) => entity === of).map(({ name }) => name);
}

/** The values that each row asks for. */
function valuesOf(
  wanted: readonly WantedFeature[],
  keys: readonly EntityRows[],
  columns: Columns,
  { reads, now }: { readonly reads: readonly (readonly ReadRows[])[]; readonly now: number },
): RowValues[] {
  const entities = keys.map(({ entity }, at) => {
    const own = wanted.filter((one) => one.entity === entity);
    const derived = own.flatMap((one) => one.derived ?? []);
    return { entity, derived, names: own.map(({ name }) => name), reads: reads[at] ?? [] };
  });
  return (keys[0]?.keys ?? []).map(
    (_, row) =>
      new Map(
        entities.map(
          ({ entity, derived, names, reads: own }): [string, Readonly<Record<string, AnsweredValue>>] => [
            entity.name,
            answerOf(rowOf(own, row), { names, now, derived, requests: requestsOf(derived, columns, row) }),
          ],
        ),
      ),
  );
}

/** The fields of one row for each derived feature. @throws Failure `invalid_request` for one that is missing or wrong. */
function requestsOf(derived: readonly DerivedFeature[], columns: Columns, row: number): Map<string, unknown> {
  return new Map(
    derived.map(({ name, request }) => {
      const fields = Object.keys(request.shape).map((field) => [field, columns[field]?.[row]]);
      const { entities } = parsed(z.object({ entities: request }), { entities: Object.fromEntries(fields) });
      return [name, entities] as const;
    }),
  );
}

interface PushRoute {
  readonly path: string;
  readonly operationId: string;
  readonly summary: string;
  readonly schema: z.ZodObject;
  readonly pointer: string;
  /** @throws Failure `invalid_request`, `unprocessable` */
  readonly pushOf: (body: unknown) => { readonly source: string; readonly df: DataFrame };
}

function registerPush(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  portsOf: PortsOf<FeastPorts>,
  { path, operationId, summary, schema, pointer, pushOf }: PushRoute,
): void {
  app.openAPIRegistry.registerPath({
    method: 'post',
    path,
    operationId,
    summary,
    tags: ['feast'],
    security: keySecurity,
    request: { body: { required: true, content: { 'application/json': { schema } } } },
    responses: {
      200: json('The queue or the database has all rows; reads show them a little later.', IngestAnswer),
      409: problem('An event has the id of another one with other content, and is kept in quarantine.'),
      413: problem('The body is too large, or has too many rows.'),
      422: problem(
        'The source is no type of events, or a row breaks its contract. Such a row is kept in quarantine, and the others are stored.',
      ),
      503: problem('The queue or the database does not accept events. Send them again.'),
    },
  });
  app.post(path, async (c) => {
    const body = await readJson(c.req.raw, { bytesMax: PUSH_BYTES_MAX, types: ['application/json'] });
    const { source, df } = pushOf(body);
    const events = await pushedEvents(source, df, gateway.catalog.eventTypes, { digest: sha256Hex, pointer });
    await gateway.charge(c, { cost: 'event', units: unitsOf('eventOfBatch', events.length) });
    const { report } = await portsOf(c).events.take(events, { isWaiting: false, lane: 'live' });
    throwIfRefused(report);
    return c.json(report);
  });
}
