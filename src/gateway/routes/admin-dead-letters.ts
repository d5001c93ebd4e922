import { type OpenAPIHono, z } from '@hono/zod-openapi';
import { ChangesMessage } from '../../../queues/changes/message.ts';
import { EventsMessage } from '../../../queues/events/message.ts';
import type { Env } from '../../env.ts';
import { Failure, jsonPointer } from '../../platform/failure.ts';
import { guarded } from '../../storage/postgres/connect.ts';
import { DEAD_LETTER, readQuarantined, resolveQuarantined } from '../../storage/postgres/quarantine.ts';
import { readJson } from '../body.ts';
import { type AppEnv, servicesOf } from '../context.ts';
import { keySecurity, problem } from '../openapi.ts';

const BODY_BYTES_MAX = 65_536;
/** Each is a message of up to 110 KB. */
const IDS_MAX = 50;
const Replay = z.strictObject({ ids: z.array(z.int().positive()).min(1).max(IDS_MAX) });

/** Sends what no consumer could handle to its queue again. */
export function registerDeadLetters(app: OpenAPIHono<AppEnv>): void {
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
    const { db, env } = servicesOf(c);
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
    const letters = new Map(
      (await guarded(() => readQuarantined(db, ids))).map((letter) => [letter.id, letter]),
    );
    const results = [];
    for (const id of ids) {
      const letter = letters.get(id);
      if (letter?.reason !== DEAD_LETTER) results.push({ id, outcome: 'not_found' });
      else if (letter.state !== 'open') results.push({ id, outcome: 'closed' });
      else results.push({ id, outcome: (await send(env, letter.raw)) ? 'sent' : 'not_a_message' });
    }
    const sent = results.flatMap(({ id, outcome }) => (outcome === 'sent' ? [id] : []));
    // Sent and not marked, it is sent again: consumers are idempotent.
    const entry = { action: 'dead-letter.replay', target: sent.join(','), detail: { ids: sent } };
    await guarded(() => resolveQuarantined(db, sent, 'released', entry));
    return c.json({ results });
  });
}

/** The schemas of the queues' messages are told apart by what they hold. */
async function send({ EVENTS, CHANGES }: Env, raw: unknown): Promise<boolean> {
  const events = EventsMessage.safeParse(raw);
  const changes = ChangesMessage.safeParse(raw);
  try {
    if (events.success) await EVENTS.send(events.data, { contentType: 'json' });
    else if (changes.success) await CHANGES.send(changes.data, { contentType: 'json' });
    return events.success || changes.success;
  } catch (error) {
    throw new Failure('queue_unavailable', 'The queue does not take messages. Try again shortly.', {
      retryAfterS: 5,
      cause: error,
    });
  }
}
