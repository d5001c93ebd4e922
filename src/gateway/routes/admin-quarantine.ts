import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Released } from '../../pipeline/release.ts';
import { Failure } from '../../platform/failure.ts';
import {
  DEAD_LETTER,
  type QuarantinedEvent,
  type QuarantineFilter,
} from '../../storage/postgres/quarantine.ts';
import { parsed, readJson } from '../body.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { json, keySecurity, problem } from '../openapi.ts';

const BODY_BYTES_MAX = 256 * 1024;
/** The most events of one call, because one transaction stores them. */
const IDS_MAX = 500;
const PAGE_MAX = 200;

const Ids = z.array(z.int().positive()).min(1).max(IDS_MAX);
const Filter = z.object({
  reason: z.string().max(128).optional(),
  type: z.string().max(256).optional(),
  source: z.string().max(512).optional(),
  state: z.enum(['open', 'released', 'discarded']).default('open'),
  before: z.coerce.number().int().positive().optional(),
  limit: z.coerce.number().int().min(1).max(PAGE_MAX).default(50),
});
const Release = z.union([
  z.strictObject({ ids: Ids }),
  /** One event with its correction. */
  z.strictObject({ id: z.int().positive(), event: z.record(z.string(), z.unknown()) }),
]);
const Discard = z.strictObject({ ids: Ids, reason: z.string().min(1).max(1_000) });

const Quarantined = z
  .object({
    id: z.int(),
    source: z.string().nullable(),
    eventId: z.string().nullable(),
    type: z.string().nullable(),
    reason: z.string(),
    pointer: z.string(),
    detail: z.string(),
    receivedAt: z.string(),
    state: z.enum(['open', 'released', 'discarded']),
    resolvedAt: z.string().nullable(),
  })
  .openapi('QuarantinedEvent');
const Outcome = z.union([
  z.object({ id: z.int(), outcome: z.enum(['released', 'duplicate', 'not_found', 'closed']) }),
  z.object({
    id: z.int(),
    outcome: z.literal('refused').openapi({ description: 'It broke a rule again, and stays open.' }),
    reason: z.string(),
    pointer: z.string(),
    detail: z.string(),
  }),
]);

export interface QuarantinePorts {
  /** Newest first. */
  readonly list: (filter: QuarantineFilter) => Promise<QuarantinedEvent[]>;
  readonly find: (id: number) => Promise<QuarantinedEvent | undefined>;
  /**
   * Validates open events again and stores those that pass.
   *
   * @param corrected replaces the raw form of the one event.
   * @returns an outcome for each id, and the token from which reads show the stored events; undefined if they are not relayed yet.
   */
  readonly release: (
    ids: readonly number[],
    corrected: unknown,
  ) => Promise<{ readonly results: Released[]; readonly token: string | undefined }>;
  /** Closes open events for good. */
  readonly discard: (ids: readonly number[], reason: string) => Promise<void>;
}

/** Lists the events that were refused, and releases, corrects or discards them. */
export function registerQuarantine(
  app: OpenAPIHono<AppEnv>,
  _: Gateway,
  quarantineOf: PortsOf<QuarantinePorts>,
): void {
  registerLists(app, quarantineOf);
  registerActions(app, quarantineOf);
}

function registerLists(app: OpenAPIHono<AppEnv>, quarantineOf: PortsOf<QuarantinePorts>): void {
  for (const [operationId, path, summary, reason] of [
    ['listQuarantine', '/v1/admin/quarantine', 'Lists the quarantined events, newest first', undefined],
    [
      'listDeadLetters',
      '/v1/admin/dead-letters',
      'Lists the messages that no consumer could handle, newest first',
      DEAD_LETTER,
    ],
  ] as const) {
    app.openAPIRegistry.registerPath({
      method: 'get',
      path,
      operationId,
      summary,
      tags: ['admin'],
      security: keySecurity,
      request: { query: Filter },
      responses: {
        200: json(
          'Pass `next` as `before` to get the next page; it is null on the last page.',
          z.object({ events: z.array(Quarantined), next: z.int().nullable() }),
        ),
      },
    });
    app.get(path, async (c) => {
      const filter = parsed(Filter, c.req.query());
      const events = await quarantineOf(c).list({ ...filter, reason: reason ?? filter.reason });
      const next = events.length === filter.limit ? (events.at(-1)?.id ?? null) : null;
      return c.json({ events, next }, 200, { 'cache-control': 'no-store' });
    });
  }
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/admin/quarantine/{id}',
    operationId: 'getQuarantinedEvent',
    summary: 'Shows one quarantined event or dead letter as it was received, with the reason',
    tags: ['admin'],
    security: keySecurity,
    request: { params: z.object({ id: z.coerce.number().int().positive() }) },
    responses: {
      200: json(
        'The entry.',
        Quarantined.extend({ raw: z.unknown().openapi({ description: 'the event as it was received' }) }),
      ),
      404: problem('The quarantine has no entry with this id.'),
    },
  });
  // Numbers only, so that a GET of the paths below is 405 and not an id that is wrong.
  app.get('/v1/admin/quarantine/:id{[0-9]+}', async (c) => {
    const id = parsed(z.coerce.number().int().positive(), c.req.param('id'));
    const event = await quarantineOf(c).find(id);
    if (event !== undefined) return c.json(event, 200, { 'cache-control': 'no-store' });
    throw new Failure('not_found', 'The quarantine has no entry with this id.', { pointer: 'id' });
  });
}

function registerActions(app: OpenAPIHono<AppEnv>, quarantineOf: PortsOf<QuarantinePorts>): void {
  app.openAPIRegistry.registerPath({
    method: 'post',
    path: '/v1/admin/quarantine/release',
    operationId: 'releaseQuarantinedEvents',
    summary:
      'Checks quarantined events again, unchanged or one of them corrected, and stores those that pass',
    tags: ['admin'],
    security: keySecurity,
    request: { body: { required: true, content: { 'application/json': { schema: Release } } } },
    responses: {
      200: json(
        'One outcome for each event. Reads with `Millrace-Token` show the stored events.',
        z.object({ results: z.array(Outcome) }),
        ['Millrace-Token'],
      ),
    },
  });
  app.post('/v1/admin/quarantine/release', async (c) => {
    const wanted = parsed(
      Release,
      await readJson(c.req.raw, { bytesMax: BODY_BYTES_MAX, types: ['application/json'] }),
    );
    const [ids, corrected] = 'ids' in wanted ? [wanted.ids, undefined] : [[wanted.id], wanted.event];
    const { results, token } = await quarantineOf(c).release(ids, corrected);
    return c.json({ results }, 200, token === undefined ? {} : { 'millrace-token': token });
  });

  app.openAPIRegistry.registerPath({
    method: 'post',
    path: '/v1/admin/quarantine/discard',
    operationId: 'discardQuarantinedEvents',
    summary: 'Closes quarantined events for good, with a reason; they stay readable',
    tags: ['admin'],
    security: keySecurity,
    request: { body: { required: true, content: { 'application/json': { schema: Discard } } } },
    responses: {
      204: { description: 'The open ones among these events are closed.' },
    },
  });
  app.post('/v1/admin/quarantine/discard', async (c) => {
    const { ids, reason } = parsed(
      Discard,
      await readJson(c.req.raw, { bytesMax: BODY_BYTES_MAX, types: ['application/json'] }),
    );
    await quarantineOf(c).discard(ids, reason);
    return c.body(null, 204);
  });
}
