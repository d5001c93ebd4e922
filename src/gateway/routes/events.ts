import { type OpenAPIHono, z } from '@hono/zod-openapi';
import { catalog } from '../../catalog/index.ts';
import { BATCH_EVENTS_MAX, CloudEvent } from '../../pipeline/cloud-event.ts';
import { eventsMessage, ingest } from '../../pipeline/ingest.ts';
import { Failure } from '../../platform/failure.ts';
import { sendChunked } from '../../storage/queue.ts';
import { mediaType, readJson } from '../body.ts';
import { type AppEnv, servicesOf } from '../context.ts';
import { keySecurity, problem } from '../openapi.ts';

const SINGLE = 'application/cloudevents+json';
const BATCH = 'application/cloudevents-batch+json';
/** A full batch of events of an ordinary size. */
const BODY_BYTES_MAX = 4 * 1024 * 1024;

const Report = z
  .object({
    accepted: z.int(),
    quarantined: z.int(),
    verdicts: z.array(
      z.object({
        index: z.int(),
        id: z.string().nullable(),
        verdict: z.literal('quarantined'),
        code: z.string(),
        reason: z.string(),
        pointer: z.string(),
        detail: z.string(),
      }),
    ),
  })
  .openapi('IngestReport');

/** Takes events in, and tells what may be sent. */
export function registerEvents(app: OpenAPIHono<AppEnv>): void {
  const report = { 'application/json': { schema: Report } };
  app.openAPIRegistry.registerPath({
    method: 'post',
    path: '/v1/events',
    summary:
      'Takes CloudEvents 1.0, one or up to a thousand; each is stored or kept in quarantine with the reason',
    tags: ['events'],
    security: keySecurity,
    request: {
      body: {
        required: true,
        content: {
          [SINGLE]: { schema: CloudEvent },
          [BATCH]: { schema: z.array(CloudEvent).max(BATCH_EVENTS_MAX) },
        },
      },
    },
    responses: {
      202: { description: 'The queue has taken all of them.', content: report },
      207: { description: 'The queue has taken all of them; some went to quarantine.', content: report },
      401: problem('A key is needed.'),
      413: problem('The body or the batch is too large.'),
      415: problem('Another content type.'),
      422: problem('The one event was refused, and is kept in quarantine.'),
      503: problem('The queue does not take events; send them again.'),
    },
  });
  app.post('/v1/events', async (c) => {
    const services = servicesOf(c);
    const single = mediaType(c.req.raw) === SINGLE;
    const body = await readJson(c.req.raw, { bytesMax: BODY_BYTES_MAX, types: [SINGLE, BATCH] });
    const outcome = await ingest(single ? [body] : batchOf(body), services.now(), {
      types: catalog.eventTypes,
      enqueue: (items, receivedAt) =>
        sendChunked(services.env.EVENTS, items, (chunk) => eventsMessage(chunk, receivedAt)),
    });
    const [verdict] = outcome.verdicts;
    if (single && verdict !== undefined) {
      throw new Failure(verdict.code, `${verdict.detail} The event is kept in quarantine.`, {
        pointer: verdict.pointer,
      });
    }
    return c.json(outcome, outcome.quarantined > 0 ? 207 : 202);
  });

  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/events/types',
    summary: 'The event types that are taken, with the JSON Schema of their data',
    tags: ['events'],
    responses: { 200: { description: 'By type.' } },
  });
  app.get('/v1/events/types', (c) =>
    c.json({
      types: catalog.events.map(({ type, description, jsonSchema }) => ({
        type,
        description,
        schema: jsonSchema(),
      })),
    }),
  );
}

function batchOf(body: unknown): unknown[] {
  if (!Array.isArray(body)) {
    throw new Failure('invalid_request', `${BATCH} is a JSON array of events.`, { pointer: '' });
  }
  if (body.length > BATCH_EVENTS_MAX) {
    throw new Failure(
      'too_many_events',
      `A batch has at most ${BATCH_EVENTS_MAX} events, not ${body.length}.`,
    );
  }
  return body;
}
