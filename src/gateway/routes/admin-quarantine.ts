import { type OpenAPIHono, z } from '@hono/zod-openapi';
import { formatToken } from '../../cache/clock/token.ts';
import { eventsMessage } from '../../pipeline/ingest.ts';
import { release } from '../../pipeline/release.ts';
import { Failure, jsonPointer } from '../../platform/failure.ts';
import { guarded } from '../../storage/postgres/connect.ts';
import {
  DEAD_LETTER,
  listQuarantine,
  readQuarantined,
  resolveQuarantined,
} from '../../storage/postgres/quarantine.ts';
import { readJson } from '../body.ts';
import type { AppEnv, Gateway } from '../context.ts';
import { keySecurity, problem } from '../openapi.ts';

const BODY_BYTES_MAX = 256 * 1024;
/** Events of one call: one transaction stores them. */
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
  /** One event with another in its place. */
  z.strictObject({ id: z.int().positive(), event: z.record(z.string(), z.unknown()) }),
]);
const Discard = z.strictObject({ ids: Ids, reason: z.string().min(1).max(1_000) });

/** What broke a contract or a rule: to be looked at, corrected, sent on its way again, or discarded. */
export function registerQuarantine(app: OpenAPIHono<AppEnv>, gateway: Gateway): void {
  registerLists(app, gateway);
  registerActions(app, gateway);
}

function registerLists(app: OpenAPIHono<AppEnv>, gateway: Gateway): void {
  for (const [path, summary, reason] of [
    ['/v1/admin/quarantine', 'What is in quarantine, newest first', undefined],
    ['/v1/admin/dead-letters', 'What no consumer could handle, newest first', DEAD_LETTER],
  ] as const) {
    app.openAPIRegistry.registerPath({
      method: 'get',
      path,
      summary,
      tags: ['admin'],
      security: keySecurity,
      request: { query: Filter },
      responses: { 200: { description: '`next` is what `before` wants for the next page.' } },
    });
    app.get(path, async (c) => {
      const filter = parsed(Filter, c.req.query());
      const { db } = gateway.servicesOf(c);
      const events = await guarded(() => listQuarantine(db, { ...filter, reason: reason ?? filter.reason }));
      const next = events.length === filter.limit ? (events.at(-1)?.id ?? null) : null;
      return c.json({ events, next }, 200, { 'cache-control': 'no-store' });
    });
  }
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/admin/quarantine/{id}',
    summary: 'One quarantined event or dead letter as it came, with the reason',
    tags: ['admin'],
    security: keySecurity,
    request: { params: z.object({ id: z.string() }) },
    responses: { 200: { description: '`raw` is the event.' }, 404: problem('There is none of this number.') },
  });
  app.get('/v1/admin/quarantine/:id', async (c) => {
    const id = parsed(z.coerce.number().int().positive(), c.req.param('id'));
    const [event] = await guarded(() => readQuarantined(gateway.servicesOf(c).db, [id]));
    if (event !== undefined) return c.json(event, 200, { 'cache-control': 'no-store' });
    throw new Failure('not_found', 'Nothing in quarantine has this number.', { pointer: 'id' });
  });
}

function registerActions(app: OpenAPIHono<AppEnv>, gateway: Gateway): void {
  app.openAPIRegistry.registerPath({
    method: 'post',
    path: '/v1/admin/quarantine/release',
    summary: 'Judges quarantined events anew, as they are or one of them corrected, and stores what holds',
    tags: ['admin'],
    security: keySecurity,
    request: { body: { required: true, content: { 'application/json': { schema: Release } } } },
    responses: {
      200: {
        description: 'One outcome for each; `Millrace-Token` names the moment from which reads show them.',
      },
      400: problem('The body is neither of the two.'),
    },
  });
  app.post('/v1/admin/quarantine/release', async (c) => {
    const services = gateway.servicesOf(c);
    const { db } = services;
    const wanted = parsed(
      Release,
      await readJson(c.req.raw, { bytesMax: BODY_BYTES_MAX, types: ['application/json'] }),
    );
    const [ids, corrected] = 'ids' in wanted ? [wanted.ids, undefined] : [[wanted.id], wanted.event];
    await services.armRelay();
    const results = await guarded(() =>
      release(ids, corrected, services.now(), {
        types: gateway.catalog.eventTypes,
        read: (numbers) => readQuarantined(db, numbers),
        take: async (items, receivedAt) => await services.store([eventsMessage(items, receivedAt)]),
        resolve: (closed, entry) => resolveQuarantined(db, closed, 'released', entry),
      }),
    );
    await services.relay().sweep();
    return c.json({ results }, 200, { 'millrace-token': formatToken(await services.newestToken()) });
  });

  app.openAPIRegistry.registerPath({
    method: 'post',
    path: '/v1/admin/quarantine/discard',
    summary: 'Closes quarantined events for good, with a reason; they stay readable',
    tags: ['admin'],
    security: keySecurity,
    request: { body: { required: true, content: { 'application/json': { schema: Discard } } } },
    responses: {
      204: { description: 'Closed, as far as they were open.' },
      400: problem('The body is not valid.'),
    },
  });
  app.post('/v1/admin/quarantine/discard', async (c) => {
    const { ids, reason } = parsed(
      Discard,
      await readJson(c.req.raw, { bytesMax: BODY_BYTES_MAX, types: ['application/json'] }),
    );
    const entry = { action: 'quarantine.discard', target: ids.join(','), detail: { ids, reason } };
    await guarded(() => resolveQuarantined(gateway.servicesOf(c).db, ids, 'discarded', entry));
    return c.body(null, 204);
  });
}

function parsed<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new Failure('invalid_request', issue?.message ?? 'Not valid.', {
    pointer: jsonPointer(issue?.path ?? []),
  });
}
