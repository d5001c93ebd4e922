import { Failure } from '../platform/failure.ts';
import {
  QUEUE_MESSAGE_BYTES_MAX,
  QUEUE_SEND_BYTES_MAX,
  QUEUE_SEND_MESSAGES_MAX,
} from '../platform/limits.ts';
import { packBySize, sized } from '../platform/pack.ts';

/** Bytes of a message and of a send. The platform's own framing needs the rest of its limits. */
const MESSAGE_BYTES_MAX = QUEUE_MESSAGE_BYTES_MAX - 18_000;
const SEND_BYTES_MAX = QUEUE_SEND_BYTES_MAX - 16_000;
/** What a message has beside its items, at most. */
const FRAME_BYTES_MAX = 256;
/** Keeps a consumer's batch of ten messages within what one transaction and one fold take. */
const MESSAGE_ITEMS_MAX = 400;

/** The end of a queue that messages are put in at. */
export interface Outlet<Message> {
  sendBatch(messages: Iterable<{ body: Message; contentType: 'json' }>): Promise<unknown>;
}

/**
 * Sends items to a queue, many to a message, and returns once the queue has taken all of them.
 *
 * @throws Failure `queue_unavailable`; then some of the items may have been taken. Consumers are idempotent.
 */
export async function sendChunked<Item, Message>(
  queue: Outlet<Message>,
  items: readonly Item[],
  toMessage: (items: readonly Item[]) => Message,
): Promise<void> {
  const chunks = packBySize(items.map(sized), MESSAGE_BYTES_MAX, MESSAGE_ITEMS_MAX);
  const messages = chunks.map(({ item, bytes }) => ({
    item: toMessage(item),
    bytes: bytes + FRAME_BYTES_MAX,
  }));
  for (const { item: group } of packBySize(messages, SEND_BYTES_MAX, QUEUE_SEND_MESSAGES_MAX)) {
    try {
      await queue.sendBatch(group.map((body) => ({ body, contentType: 'json' as const })));
    } catch (error) {
      throw new Failure('queue_unavailable', 'The queue does not take messages. Try again shortly.', {
        retryAfterS: 5,
        cause: error,
      });
    }
  }
}
