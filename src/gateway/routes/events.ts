import { type OpenAPIHono, z } from '@hono/zod-openapi';
import { BATCH_EVENTS_MAX, CloudEvent } from '../../pipeline/cloud-event.ts';
import { announcedEnd } from '../../pipeline/contracts/deprecation.ts';
import type { IngestReport } from '../../pipeline/ingest.ts';
import { Failure } from '../../platform/failure.ts';
import type { EventStatus } from '../../storage/postgres/event-status.ts';
import { BATCHED, receiveEvents, STRUCTURED } from '../cloud-events-http.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { keySecurity, problem } from '../openapi.ts';
import { deprecationHeaders, registerEventTypes } from './event-types.ts';

const Verdict = z.object({ index: z.int(), id: z.string().nullable() });
const Report = z
  .object({
    accepted: z.int(),
    duplicates: z.int(),
    quarantined: z.int(),
    verdicts: z.array(
      z.discriminatedUnion('verdict', [
        Verdict.extend({ verdict: z.literal('duplicate') }),
        Verdict.extend({
          verdict: z.literal('quarantined'),
          code: z.string(),
          reason: z.string(),
          pointer: z.string(),
          detail: z.string(),
        }),
      ]),
    ),
  })
  .openapi('IngestReport');

export interface EventPorts {
  /**
   * Validates the events of a request and passes all of them on, refused ones with their reason.
   *
   * @param isWaiting whether the client asks for an answer after the events are stored (`Prefer: wait`).
   * @returns `token` if they are stored and relayed: the moment from which reads show them.
   */
  readonly take: (
    raw: readonly unknown[],
    isWaiting: boolean,
  ) => Promise<{ readonly report: IngestReport; readonly token: string | undefined }>;
  /** The status of the event of this source and id; undefined if Millrace has never received it. */
  readonly status: (
    source: string,
    id: string,
  ) => Promise<EventStatus | { readonly status: 'queued' } | undefined>;
}

/** Accepts events, and shows the accepted types and the status of each event. */
export function registerEvents(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  eventsOf: PortsOf<EventPorts>,
): void {
  registerIngest(app, gateway, eventsOf);
  registerEventTypes(app, gateway);
  registerStatus(app, gateway, eventsOf);
}

function registerIngest(app: OpenAPIHono<AppEnv>, gateway: Gateway, eventsOf: PortsOf<EventPorts>): void {
  const report = { 'application/json': { schema: Report } };
  app.openAPIRegistry.registerPath({
    method: 'post',
    path: '/v1/events',
    summary:
      'Takes CloudEvents 1.0 in structured, batched or binary mode, also gzipped; each is stored or kept in quarantine with the reason',
    tags: ['events'],
    security: keySecurity,
    request: {
      headers: z.object({
        prefer: z.string().optional().openapi({ description: '`wait`: answer once the events are stored' }),
      }),
      body: {
        required: true,
        content: {
          [STRUCTURED]: { schema: CloudEvent },
          [BATCHED]: { schema: z.array(CloudEvent).max(BATCH_EVENTS_MAX) },
        },
      },
    },
    responses: {
      200: { description: 'The one event was said before; nothing has changed.', content: report },
      201: {
        description: 'Stored; `Millrace-Token` names the moment from which reads show it.',
        content: report,
      },
      202: {
        description:
          'All are taken, by the queue or the database; reads show them a little later. `Deprecation` and `Sunset` tell where they are of a version that is to end.',
        content: report,
      },
      207: { description: 'All were taken; some are duplicates or went to quarantine.', content: report },
      400: problem('The body is not JSON, not UTF-8, or not of its encoding.'),
      401: problem('A key is needed.'),
      409: problem('The one event has the source and id of another, and is kept in quarantine.'),
      413: problem('The body or the batch is too large.'),
      415: problem('Another content type or encoding.'),
      422: problem(
        'The one event was refused, by its contract, a rule or the database, and is kept in quarantine.',
      ),
      503: problem('The queue, or the database, does not take events; send them again.'),
    },
  });
  app.post('/v1/events', async (c) => {
    const { raw, single } = await receiveEvents(c.req.raw);
    const { report, token } = await eventsOf(c).take(raw, wantsToWait(c.req.header('prefer')));
    if (single) throwIfRefused(report);
    const headers = {
      ...(token === undefined ? {} : { 'millrace-token': token }),
      ...deprecationHeaders(announcedEnd(gateway.catalog.eventTypes, raw)),
    };
    return c.json(report, statusOf(report, single, token !== undefined), headers);
  });
}

/** RFC 7240: preferences are separated by commas, each with parameters behind a semicolon. */
function wantsToWait(prefer: string | undefined): boolean {
  return (prefer ?? '').split(',').some((preference) => /^\s*wait\s*(?:[=;]|$)/i.test(preference));
}

/** Messages of schemas end without a full stop. */
function asSentence(detail: string): string {
  return /[.!?]$/.test(detail) ? detail : `${detail}.`;
}

function throwIfRefused({ verdicts: [verdict] }: IngestReport): void {
  if (verdict?.verdict !== 'quarantined') return;
  const { code, detail, pointer } = verdict;
  throw new Failure(code, `${asSentence(detail)} The event is kept in quarantine.`, { pointer });
}

function statusOf({ verdicts }: IngestReport, single: boolean, stored: boolean): 200 | 201 | 202 | 207 {
  if (verdicts.length > 0) return single ? 200 : 207;
  return stored ? 201 : 202;
}

function registerStatus(app: OpenAPIHono<AppEnv>, gateway: Gateway, eventsOf: PortsOf<EventPorts>): void {
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/events/{source}/{id}',
    summary: 'Where an event is: queued, stored, with what it invalidates, in quarantine, or dead',
    tags: ['events'],
    security: keySecurity,
    request: {
      params: z.object({
        source: z.string().openapi({ description: 'percent-encoded, slashes too' }),
        id: z.string(),
      }),
    },
    responses: {
      200: { description: '`status` is `queued`, `stored`, `quarantined` or `dead`.' },
      401: problem('A key is needed.'),
      404: problem('It was never seen, or is queued and nobody remembers.'),
    },
  });
  app.get('/v1/events/:source/:id', gateway.authorize, async (c) => {
    const { source, id } = c.req.param();
    const status = await eventsOf(c).status(source, id);
    if (status !== undefined) return c.json({ source, id, ...status });
    throw new Failure('not_found', 'This event was never seen, or is queued and nobody remembers.');
  });
}
