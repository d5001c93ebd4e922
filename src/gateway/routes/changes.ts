import { type OpenAPIHono, z } from '@hono/zod-openapi';
import { FeedChange, FeedFilter } from '../../pipeline/feed/change.ts';
import { type Position, parsePosition } from '../../pipeline/feed/position.ts';
import type { Reader } from '../../pipeline/feed/readers.ts';
import { type FeedPage, streamFeed } from '../../pipeline/feed/stream.ts';
import { sleep, systemNow } from '../../platform/clock.ts';
import { Failure } from '../../platform/failure.ts';
import { newId } from '../../platform/ids.ts';
import { systemRandom } from '../../platform/random.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { eventStream } from '../event-stream.ts';
import { keySecurity, problem } from '../openapi.ts';

/** A change for the document: the generator takes a member that is `exactOptional` for required. */
const Change = FeedChange.extend({
  time: z.string().optional(),
  replayed: z.literal(true).optional(),
}).openapi('Change');

export interface FeedPorts {
  /**
   * The next page after a position, within `waitMs`.
   *
   * @throws Failure `feed_unavailable` if the feed does not answer, or the reader is new and there are too many.
   */
  readonly next: (question: {
    readonly reader: Reader;
    readonly after: Position | undefined;
    readonly filter: FeedFilter;
    readonly waitMs: number;
  }) => Promise<FeedPage>;
  /** Frees the place of a stream that has ended, in the background. */
  readonly leave: (readerId: string) => void;
}

/** Streams changes as server-sent events. */
export function registerChanges(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  feedOf: PortsOf<FeedPorts>,
): void {
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/changes',
    operationId: 'streamChanges',
    summary:
      'Streams changes as they are invalidated: `change` events, and `reset` if the client may have missed some',
    tags: ['events'],
    security: keySecurity,
    request: {
      query: z.object({
        type: FeedFilter.shape.types.optional().openapi({ description: 'event types, or `row`' }),
        entity: FeedFilter.shape.entities
          .optional()
          .openapi({ description: '`<entity>`, or `<entity>:<key>`' }),
        ticket: z
          .string()
          .max(512)
          .optional()
          .openapi({ description: 'a ticket of `POST /v1/tickets`, in place of the key' }),
      }),
      headers: z.object({
        'last-event-id': z
          .string()
          .max(64)
          .regex(/^([0-9a-f-]{36}\.\d{1,15})?$/)
          .optional()
          .openapi({
            description: 'the id of the last event that the client has; the stream continues after it',
          }),
      }),
    },
    responses: {
      200: {
        description: 'Each `data` is a change. Without `Last-Event-ID` the stream begins now.',
        content: { 'text/event-stream': { schema: Change } },
      },
      503: problem('The feed has too many readers, or does not answer.'),
    },
  });
  app.get('/v1/changes', gateway.authorize, async (c) => {
    const feed = feedOf(c);
    const filter = filterOf(c.req.queries());
    const after = positionOf(c.req.header('last-event-id'));
    const id = newId();
    // A feed that is full refuses here, before the response begins.
    const first = await feed.next({ reader: { id, isNew: true }, after, filter, waitMs: 0 });
    const text = streamFeed(first, {
      next: (position, waitMs) =>
        feed.next({ reader: { id, isNew: false }, after: position, filter, waitMs }),
      leave: () => feed.leave(id),
      sleep,
      now: systemNow,
      random: systemRandom,
    });
    return eventStream(text);
  });
}

function filterOf(queries: Readonly<Record<string, string[]>>): FeedFilter {
  const parsed = FeedFilter.safeParse({ types: queries['type'] ?? [], entities: queries['entity'] ?? [] });
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new Failure('invalid_request', issue?.message ?? 'The filter is not valid.', {
    pointer: issue?.path[0] === 'types' ? 'type' : 'entity',
  });
}

function positionOf(lastEventId: string | undefined): Position | undefined {
  if (lastEventId === undefined || lastEventId === '') return undefined;
  const position = parsePosition(lastEventId);
  if (position !== undefined) return position;
  throw new Failure(
    'invalid_request',
    'Last-Event-ID is not an id that this feed has sent. Leave it out to begin now.',
    {
      pointer: 'Last-Event-ID',
    },
  );
}
