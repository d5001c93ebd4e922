import { type OpenAPIHono, z } from '@hono/zod-openapi';
import { replayDeadLetters } from '../../pipeline/dead-letters.ts';
import { Failure, jsonPointer } from '../../platform/failure.ts';
import { guarded } from '../../storage/postgres/connect.ts';
import { readQuarantined, resolveQuarantined } from '../../storage/postgres/quarantine.ts';
import { readJson } from '../body.ts';
import type { AppEnv, Gateway } from '../context.ts';
import { keySecurity, problem } from '../openapi.ts';

const BODY_BYTES_MAX = 65_536;
/** Each is a message of up to 110 KB. */
const IDS_MAX = 50;
const Replay = z.strictObject({ ids: z.array(z.int().positive()).min(1).max(IDS_MAX) });

/** Sends what no consumer could handle to its queue again. */
export function registerDeadLetters(app: OpenAPIHono<AppEnv>, gateway: Gateway): void {
  app.openAPIRegistry.registerPath({
    method: 'post',
    path: '/v1/admin/dead-letters/replay',
    summary: 'Sends dead letters to the queue that they came from',
    tags: ['admin'],
    security: keySecurity,
    request: { body: { required: true, content: { 'application/json': { schema: Replay } } } },
    responses: {
      200: { description: '`sent`, or why not: `closed`, `not_found`, or `not_a_message` of any queue.' },
      400: problem('The body is not valid.'),
      503: problem('The queue does not take messages.'),
    },
  });
  app.post('/v1/admin/dead-letters/replay', async (c) => {
    const { db, env } = gateway.servicesOf(c);
    const body = Replay.safeParse(
      await readJson(c.req.raw, { bytesMax: BODY_BYTES_MAX, types: ['application/json'] }),
    );
    if (!body.success) {
      const issue = body.error.issues[0];
      throw new Failure('invalid_request', issue?.message ?? 'Not valid.', {
        pointer: jsonPointer(issue?.path ?? []),
      });
    }
    const { ids } = body.data;
    const results = await replayDeadLetters(ids, {
      read: (wanted) => guarded(() => readQuarantined(db, wanted)),
      sendEvents: (message) => taken(env.EVENTS.send(message, { contentType: 'json' })),
      sendChanges: (message) => taken(env.CHANGES.send(message, { contentType: 'json' })),
      sendSink: (message) => taken(env.SINK.send(message, { contentType: 'json' })),
      resolve: (sent, entry, keptUntil) =>
        guarded(() => resolveQuarantined(db, sent, 'released', entry, keptUntil)),
    });
    return c.json({ results });
  });
}

async function taken(sending: Promise<unknown>): Promise<void> {
  try {
    await sending;
  } catch (error) {
    throw new Failure('queue_unavailable', 'The queue does not take messages. Try again shortly.', {
      retryAfterS: 5,
      cause: error,
    });
  }
}
