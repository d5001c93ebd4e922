import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { formatToken, type Token } from '../../cache/clock/clock.ts';
import type { Consistency } from '../../cache/read-through.ts';
import type { Catalog } from '../../define/catalog.ts';
import { readNames } from '../../define/feature.ts';
import type { DerivedFeature } from '../../define/feature-derived.ts';
import type { FeatureRow } from '../../define/feature-value.ts';
import type { Principal } from '../../define/principal.ts';
import { type Asked, answerOf } from '../../features/answer.ts';
import { isVersioned, parseVersioned } from '../../features/old-versions.ts';
import type { ReadRows, RowsAsked } from '../../features/row-cache.ts';
import { laterMoment, type Moment } from '../../features/seen-folds.ts';
import { READ_KEYS_MAX } from '../../features/shards.ts';
import { unknownVersion } from '../../features/version-reads.ts';
import { systemNow } from '../../platform/clock.ts';
import { Failure, jsonPointer } from '../../platform/failure.ts';
import { parsed, readJson } from '../body.ts';
import { consistencyOf } from '../cached-response.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { canonicalKey, EntityKey } from '../entity-key.ts';
import { FeatureValue } from '../feature-value.ts';
import { unitsOf } from '../limits/weights.ts';
import { consistencyHeaders, json, keySecurity, problem } from '../openapi.ts';
import { assertOwnRow } from '../principals/row-access.ts';

/** A hundred keys at their longest. */
const BODY_BYTES_MAX = 131_072;
/** The most features of one request: with a hundred keys, it has ten thousand values. */
const READ_FEATURES_MAX = 100;
/** Ten years, in seconds: the longest window. */
const MAX_STALENESS_S_MAX = 315_360_000;
/** The most fields of one request for derived features. */
const REQUEST_FIELDS_MAX = 64;
const ReadRequest = z.strictObject({
  entity: z.string().min(1).max(64),
  keys: z.array(EntityKey).min(1).max(READ_KEYS_MAX),
  features: z.array(z.string().min(1).max(128)).min(1).max(READ_FEATURES_MAX).optional().openapi({
    description:
      'read names; `<read name>@<12 hexadecimal digits>` reads one version by the first digits of its digest',
  }),
  maxStalenessS: z
    .int()
    .min(0)
    .max(MAX_STALENESS_S_MAX)
    .optional()
    .openapi({ description: 'A value whose newest event is older is `OUTSIDE_MAX_AGE`.' }),
  request: z
    .record(z.string().max(64), z.unknown())
    .refine((fields) => Object.keys(fields).length <= REQUEST_FIELDS_MAX)
    .optional()
    .openapi({ description: 'The fields that derived features are computed from.' }),
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
  /**
   * The features of keys of one entity as of `now`, in the order of the keys, through the isolate's memory.
   *
   * @throws Failure `features_unavailable`, `token_from_another_epoch`, `token_from_the_future`,
   *   `unknown_feature_version`, `feature_version_gone`
   */
  readonly read: (asked: RowsAsked, consistency: Consistency) => Promise<ReadRows>;
}

/** Serves up to a hundred online features of up to a hundred entities. */
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
      headers: consistencyHeaders,
      body: {
        required: true,
        content: { 'application/json': { schema: describedRequest(gateway.catalog) } },
      },
    },
    responses: {
      200: json(
        'One result for each key, in the order of the keys; times are in milliseconds since the Unix epoch.',
        ReadAnswer,
        ['Cache-Status', 'Millrace-Token'],
      ),
      412: problem('`Millrace-Token` is from another epoch of the clock, or from the future.'),
      422: problem(
        'The entity or a feature is not declared, a version is not kept, or a key is none of the entity.',
      ),
    },
  });
  app.post('/v1/features/read', async (c) => {
    const { body, principal } = await readBody(c, gateway);
    const { entity, keys, features, maxStalenessS, request } = parsed(ReadRequest, body);
    const names = wantedNames(gateway.catalog, entity, features);
    const consistency = consistencyOf(c.req.raw.headers);
    const texts = canonicalKeys(gateway.catalog, entity, keys);
    assertOwnKeys(gateway.catalog, principal, entity, texts);
    const reads = readsOf(names);
    const units = unitsOf('features') + unitsOf('featuresOfKey', texts.length * reads.length);
    await gateway.charge(c, { cost: 'features', units });
    const derived = gateway.catalog.derived.filter((definition) => definition.entity.name === entity);
    const asked: Asked = {
      names,
      now: systemNow(),
      maxAgeMs: maxStalenessS === undefined ? undefined : maxStalenessS * 1_000,
      columns: columnsOf(gateway.catalog, entity),
      derived,
      requests: requestsOf(derived, names, request ?? {}),
    };
    const answers = await Promise.all(
      reads.map((versions) =>
        featuresOf(c).read({ entity, keys: texts, now: asked.now, versions }, consistency),
      ),
    );
    c.header('cache-status', cacheStatusOf(answers));
    const token = coveringToken(answers);
    if (token !== undefined) c.header('millrace-token', formatToken(token));
    return c.json({
      entity,
      asOf: asked.now,
      results: keys.map((key, index) => ({ key, features: answerOf(rowOf(answers, index), asked) })),
    });
  });
}

/** The reads that a request needs, each with the names of versions, or undefined for the features of this release. */
export function readsOf(names: readonly string[]): (readonly string[] | undefined)[] {
  const versions = [...new Set(names.filter(isVersioned))].sort();
  const isPlain = versions.length < new Set(names).size;
  return [...(isPlain ? [undefined] : []), ...(versions.length > 0 ? [versions] : [])];
}

/** The values of one key from all reads of a request. */
export function rowOf(reads: readonly ReadRows[], index: number): FeatureRow {
  const [first, ...more] = reads.map(({ rows }) => rows[index] ?? {});
  return more.length === 0 ? (first ?? {}) : Object.assign({}, first, ...more);
}

/** The names of an entity's features over columns. */
function columnsOf({ features }: Catalog, entity: string): ReadonlySet<string> {
  const own = features.filter(({ column, entity: of }) => column !== undefined && of.name === entity);
  return new Set(own.map(({ name }) => name));
}

/** The moment that covers all reads; undefined if one is not known. */
function coveringToken(reads: readonly ReadRows[]): Token | undefined {
  const moments = reads.map(({ token }) => token ?? null);
  return moments.reduce<Moment>(laterMoment, undefined) ?? undefined;
}

/**
 * RFC 9211: a hit if all keys came from memory. `partial` if some did.
 *
 * @param reads one for each entity.
 */
export function cacheStatusOf(reads: readonly ReadRows[]): string {
  if (reads.some(({ isBypassed }) => isBypassed)) return 'millrace; fwd=bypass; detail=clock-unavailable';
  if (reads.some(({ isOff }) => isOff === true)) return 'millrace; fwd=bypass; detail=phase-off';
  if (reads.every(({ missed }) => missed === 0)) return 'millrace; hit; detail=memory';
  return reads.every(({ missed, asked }) => missed === asked)
    ? 'millrace; fwd=uri-miss'
    : 'millrace; fwd=partial';
}

/**
 * The fields of the request, parsed for each derived feature that is asked for.
 *
 * @throws Failure `invalid_request` for a field that is missing, wrong, or not of any of these features.
 */
function requestsOf(
  derived: readonly DerivedFeature[],
  names: readonly string[],
  request: Readonly<Record<string, unknown>>,
): Map<string, unknown> {
  const wanted = derived.filter(({ name }) => names.includes(name));
  const unknown = Object.keys(request).find((field) =>
    wanted.every((one) => !Object.hasOwn(one.request.shape, field)),
  );
  if (unknown !== undefined)
    throw new Failure('invalid_request', `None of the features uses the field "${unknown}".`, {
      pointer: jsonPointer(['request', unknown]),
    });
  return new Map(
    wanted.map((one) => {
      const { request: fields } = parsed(z.object({ request: one.request }), { request });
      return [one.name, fields] as const;
    }),
  );
}

/**
 * The body of a reader who has the key, or reads a public entity. A reader without the key who sends anything else gets
 * a 401, so the answer does not reveal whether the entity or its keys exist.
 */
async function readBody(c: Context<AppEnv>, { catalog, admit }: Gateway) {
  const open = catalog.entities.filter(({ isPublic }) => isPublic);
  const guard = { scope: 'data:read', limitsRows: true } as const;
  const principal = await admit(c, { ...guard, isPublic: open.length > 0 });
  const reading = readJson(c.req.raw, { bytesMax: BODY_BYTES_MAX, types: ['application/json'] });
  const body = await (principal.kind === 'anonymous' ? reading.catch(() => undefined) : reading);
  if (!open.some(({ name }) => isOf(body, name))) await admit(c, { ...guard, isPublic: false });
  return { body, principal };
}

/** @throws Failure `claim_missing`, `outside_rows`, `rows_not_limited` */
function assertOwnKeys(
  { entities }: Catalog,
  principal: Principal,
  name: string,
  texts: readonly string[],
): void {
  const entity = entities.find((candidate) => candidate.name === name);
  if (entity === undefined || entity.isPublic) return;
  for (const [index, text] of texts.entries()) assertOwnRow(principal, entity, text, `/keys/${index}`);
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

/** Without a list, all features but the derived ones that need a request. */
function wantedNames(
  { features, derived }: Catalog,
  entity: string,
  wanted: readonly string[] | undefined,
): string[] {
  const stored = features.filter((definition) => definition.entity.name === entity).flatMap(readNames);
  const computed = derived.filter((definition) => definition.entity.name === entity);
  if (stored.length === 0) {
    throw new Failure('unknown_entity', `The catalog declares no features of "${entity}".`, {
      pointer: '/entity',
    });
  }
  if (wanted === undefined) {
    const free = computed.filter(({ request }) => Object.keys(request.shape).length === 0);
    return [...stored, ...free.map(({ name }) => name)];
  }
  const declared = [...stored, ...computed.map(({ name }) => name)];
  for (const [index, name] of wanted.entries())
    if (isVersioned(name) && parseVersioned(name) === undefined)
      throw unknownVersion(name, `/features/${index}`);
  const unknown = wanted.findIndex((name) => !isVersioned(name) && !declared.includes(name));
  if (unknown >= 0) {
    throw new Failure('unknown_feature', `"${entity}" has the features ${declared.join(', ')}.`, {
      pointer: `/features/${unknown}`,
    });
  }
  return [...wanted];
}
