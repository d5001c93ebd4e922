import { type OpenAPIHono, z } from '@hono/zod-openapi';
import { BATCH_EVENTS_MAX, ID_CHARACTERS_MAX, SOURCE_CHARACTERS_MAX } from '../../pipeline/cloud-event.ts';
import { announcedEnd, deprecatedTypes } from '../../pipeline/contracts/versions.ts';
import type { IngestReport } from '../../pipeline/ingest.ts';
import { Failure } from '../../platform/failure.ts';
import { LANES, type Lane } from '../../storage/lane.ts';
import type { EventStatus } from '../../storage/postgres/event-status.ts';
import { BATCHED, receiveEvents, STRUCTURED } from '../cloud-events-http.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { eventExamples, sentEvent } from '../contract/event-schema.ts';
import { ANNOUNCED } from '../contract/headers.ts';
import { deprecationHeaders } from '../deprecation.ts';
import { unitsOf } from '../limits/weights.ts';
import { json, keySecurity, problem } from '../openapi.ts';
import { EVENT_TYPES_PATH, registerEventTypes } from './event-types.ts';

const Verdict = z.object({ index: z.int(), id: z.string().nullable() });
export const IngestAnswer = z
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

const Named = z.object({ source: z.string(), id: z.string() });
const Refused = { reason: z.string(), pointer: z.string(), detail: z.string(), receivedAt: z.string() };
const Status = z
  .discriminatedUnion('status', [
    Named.extend({ status: z.literal('queued') }).openapi('QueuedStatus'),
    Named.extend({
      status: z.literal('stored'),
      type: z.string(),
      sentAs: z.string().optional().openapi({
        description: 'the type as it was sent, if that is an earlier version',
      }),
      subject: z.string().nullable(),
      time: z.string(),
      extensions: z.record(z.string(), z.unknown()).optional(),
      recordedAt: z.string(),
      invalidated: z
        .object({
          tags: z.array(z.string()),
          at: z.string().nullable().openapi({ description: 'null while a change is not relayed yet' }),
          token: z.string().nullable(),
        })
        .nullable()
        .openapi({ description: 'null once retention has deleted the outbox row of the event' }),
    }).openapi('StoredStatus'),
    Named.extend({ status: z.literal('quarantined'), ...Refused }).openapi('QuarantinedStatus'),
    Named.extend({ status: z.literal('dead'), ...Refused }).openapi('DeadStatus'),
  ])
  .openapi('EventStatus');

export interface EventPorts {
  /**
   * Validates the events of a request and passes all of them on, refused ones with their reason.
   *
   * @param how.isWaiting whether the client asks for an answer after the events are stored (`Prefer: wait`).
   * @param how.lane which queues take the events and their changes.
   * @returns `token` if they are stored and relayed: the moment from which reads show them.
   */
  readonly take: (
    raw: readonly unknown[],
    how: { readonly isWaiting: boolean; readonly lane: Lane },
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
  const sent = sentEvent(gateway.catalog);
  app.openAPIRegistry.registerPath({
    method: 'post',
    path: '/v1/events',
    operationId: 'sendEvents',
    summary:
      'Accepts CloudEvents 1.0 in structured, batched or binary mode, also gzipped; each event is stored, or kept in quarantine with the reason',
    tags: ['events'],
    security: keySecurity,
    request: {
      headers: z.object({
        prefer: z.string().optional().openapi({ description: '`wait`: answer once the events are stored' }),
        'millrace-lane': z.enum(LANES).optional().openapi({
          description: '`bulk` for imports and backfills: live events do not wait behind these',
        }),
      }),
      body: {
        required: true,
        content: {
          [STRUCTURED]: { schema: sent, examples: eventExamples(gateway.catalog) },
          [BATCHED]: { schema: z.array(sent).max(BATCH_EVENTS_MAX) },
        },
      },
    },
    responses: {
      200: json('The single event is a duplicate; nothing was changed.', IngestAnswer, ANNOUNCED),
      201: json('Stored and invalidated. Reads with `Millrace-Token` show the events.', IngestAnswer, [
        'Millrace-Token',
        ...ANNOUNCED,
      ]),
      202: json(
        'The queue or the database has all events; reads show them a little later. For events of a deprecated version the answer has `Deprecation` and `Sunset`.',
        IngestAnswer,
        ANNOUNCED,
      ),
      207: json('All events were taken; some are duplicates or went to quarantine.', IngestAnswer, [
        'Millrace-Token',
        ...ANNOUNCED,
      ]),
      409: problem('The single event has the source and id of another event, and is kept in quarantine.'),
      413: problem('The body or the batch is too large.'),
      422: problem(
        'The contract, a rule or the database refused the single event, and it is kept in quarantine.',
      ),
      503: problem('The queue or the database does not accept events. Send them again.'),
    },
  });
  app.post('/v1/events', async (c) => {
    const { raw, single } = await receiveEvents(c.req.raw);
    await gateway.charge(c, { cost: 'event', units: unitsOf('eventOfBatch', raw.length) });
    const lane = laneOf(c.req.header('millrace-lane'));
    const isWaiting = wantsToWait(c.req.header('prefer'));
    const ports = eventsOf(c);
    const { report, token } = await ports.take(raw, { isWaiting, lane });
    if (single) throwIfRefused(report);
    const { eventTypes } = gateway.catalog;
    for (const type of deprecatedTypes(eventTypes, raw)) gateway.noteDeprecated(c, type);
    const end = announcedEnd(eventTypes, raw);
    const headers = {
      ...(token === undefined ? {} : { 'millrace-token': token }),
      ...(end === undefined ? {} : deprecationHeaders(end, { describedBy: EVENT_TYPES_PATH })),
    };
    return c.json(report, statusOf(report, single, token !== undefined), headers);
  });
}

/** @throws Failure `invalid_request` for a lane that there is not. */
function laneOf(header: string | undefined): Lane {
  const lane = LANES.find((known) => known === (header ?? 'live').trim());
  if (lane !== undefined) return lane;
  throw new Failure('invalid_request', `Millrace-Lane is one of ${LANES.join(', ')}.`, {
    pointer: 'Millrace-Lane',
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

/** @throws Failure with the code and the pointer of the first event that was refused. */
export function throwIfRefused({ verdicts, quarantined, accepted }: IngestReport): void {
  const verdict = verdicts.find((one) => one.verdict === 'quarantined');
  if (verdict?.verdict !== 'quarantined') return;
  const { code, detail, pointer, index } = verdict;
  const kept =
    accepted + verdicts.length === 1
      ? 'The event is kept in quarantine.'
      : `This is the event of row ${index}. It and ${quarantined - 1} more are kept in quarantine, and ${accepted} are stored.`;
  throw new Failure(code, `${asSentence(detail)} ${kept}`, { pointer });
}

function statusOf({ verdicts }: IngestReport, single: boolean, stored: boolean): 200 | 201 | 202 | 207 {
  if (verdicts.length > 0) return single ? 200 : 207;
  return stored ? 201 : 202;
}

function registerStatus(app: OpenAPIHono<AppEnv>, gateway: Gateway, eventsOf: PortsOf<EventPorts>): void {
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/events/{source}/{id}',
    operationId: 'getEventStatus',
    summary:
      'Shows the status of an event: queued, stored (with the tags that it invalidated), in quarantine, or dead',
    tags: ['events'],
    security: keySecurity,
    request: {
      params: z.object({
        source: z.string().max(SOURCE_CHARACTERS_MAX).openapi({
          description: 'percent-encoded, including slashes',
        }),
        id: z.string().max(ID_CHARACTERS_MAX),
      }),
    },
    responses: {
      200: json('The status.', Status),
      404: problem('No event of this source and id is stored, in quarantine or known to be queued.'),
    },
  });
  app.get('/v1/events/:source/:id', gateway.authorize, async (c) => {
    const { source, id } = c.req.param();
    const status = await eventsOf(c).status(source, id);
    if (status !== undefined) return c.json({ source, id, ...status });
    throw new Failure(
      'not_found',
      'No event of this source and id is stored, in quarantine or known to be queued. If it was accepted, ask again later.',
    );
  });
}
