import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Replayed } from '../../pipeline/dead-letters.ts';
import { parsed, readJson } from '../body.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { keySecurity, problem } from '../openapi.ts';

const BODY_BYTES_MAX = 65_536;
/** Each is a message of up to 110 KB. */
const IDS_MAX = 50;
const Replay = z.strictObject({ ids: z.array(z.int().positive()).min(1).max(IDS_MAX) });

export interface DeadLetterPorts {
  /** Sends letters to the queues that they came from, and closes them. */
  readonly replay: (ids: readonly number[]) => Promise<Replayed[]>;
  /** The state of each letter, by its id. */
  readonly states: (ids: readonly number[]) => Promise<Readonly<Record<string, string>>>;
}

/** Sends dead letters to their queues again. */
export function registerDeadLetters(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  deadLettersOf: PortsOf<DeadLetterPorts>,
): void {
  app.openAPIRegistry.registerPath({
    method: 'post',
    path: '/v1/admin/dead-letters/replay',
    summary: 'Sends dead letters to the queue that they came from',
    tags: ['admin'],
    security: keySecurity,
    request: { body: { required: true, content: { 'application/json': { schema: Replay } } } },
    responses: {
      200: {
        description:
          'One outcome for each letter: `sent`, `closed`, `not_found`, or `not_a_message` (its content matches no queue).',
      },
      400: problem('The body is not valid.'),
      503: problem('The queue does not take messages.'),
    },
  });
  app.post('/v1/admin/dead-letters/replay', async (c) => {
    const body = await readJson(c.req.raw, { bytesMax: BODY_BYTES_MAX, types: ['application/json'] });
    const { ids } = parsed(Replay, body);
    const letters = deadLettersOf(c);
    const action = {
      action: 'dead-letter.replay',
      target: ids.join(','),
      detail: { ids },
      before: () => letters.states(ids),
    };
    const results = await gateway.audited(c, action, async () => {
      const result = await letters.replay(ids);
      return { result, after: result };
    });
    return c.json({ results });
  });
}
