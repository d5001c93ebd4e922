import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Replayed } from '../../pipeline/dead-letters.ts';
import { parsed, readJson } from '../body.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { json, keySecurity, problem } from '../openapi.ts';

const BODY_BYTES_MAX = 65_536;
/** Each is a message of up to 110 KB. */
const IDS_MAX = 50;
const Replay = z.strictObject({ ids: z.array(z.int().positive()).min(1).max(IDS_MAX) });

const Outcomes = z.object({
  results: z.array(
    z.object({
      id: z.int(),
      outcome: z.enum(['sent', 'closed', 'not_found', 'not_a_message']).openapi({
        description: '`not_a_message`: its content matches no queue',
      }),
    }),
  ),
});

export interface DeadLetterPorts {
  /** Sends letters to the queues that they came from, and closes them. */
  readonly replay: (ids: readonly number[]) => Promise<Replayed[]>;
}

/** Sends dead letters to their queues again. */
export function registerDeadLetters(
  app: OpenAPIHono<AppEnv>,
  _: Gateway,
  deadLettersOf: PortsOf<DeadLetterPorts>,
): void {
  app.openAPIRegistry.registerPath({
    method: 'post',
    path: '/v1/admin/dead-letters/replay',
    operationId: 'replayDeadLetters',
    summary: 'Sends dead letters to the queue that they came from',
    tags: ['admin'],
    security: keySecurity,
    request: { body: { required: true, content: { 'application/json': { schema: Replay } } } },
    responses: {
      200: json('One outcome for each letter, in the order of the ids.', Outcomes),
      503: problem('The queue does not take messages.'),
    },
  });
  app.post('/v1/admin/dead-letters/replay', async (c) => {
    const body = await readJson(c.req.raw, { bytesMax: BODY_BYTES_MAX, types: ['application/json'] });
    const { ids } = parsed(Replay, body);
    const answer: z.output<typeof Outcomes> = { results: await deadLettersOf(c).replay(ids) };
    return c.json(answer);
  });
}
