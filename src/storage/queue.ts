import { Failure } from '../platform/failure.ts';
import {
  QUEUE_MESSAGE_BYTES_MAX,
  QUEUE_SEND_BYTES_MAX,
  QUEUE_SEND_MESSAGES_MAX,
} from '../platform/limits.ts';
import { packBySize, sized } from '../platform/pack.ts';
import { callPeer, QUEUE_SEND_MS } from '../platform/peer.ts';

/** Bytes of a message and of a send. The platform's own framing needs the rest of its limits. */
export const MESSAGE_BYTES_MAX = QUEUE_MESSAGE_BYTES_MAX - 18_000;
const SEND_BYTES_MAX = QUEUE_SEND_BYTES_MAX - 16_000;
/** The most bytes of a message beside its items. */
const FRAME_BYTES_MAX = 256;
/** The most items of a message, so that a group of large messages fits one transaction and one fold. */
export const MESSAGE_ITEMS_MAX = 400;

/** The producer's side of a queue. */
export interface Outlet<Message> {
  sendBatch(messages: Iterable<{ body: Message; contentType: 'json' }>): Promise<unknown>;
}

/**
 * Sends items to a queue, many per message, and resolves once the queue has accepted all of them.
 *
 * @throws Failure `queue_unavailable`; some of the items may have been accepted. Consumers are idempotent.
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
      const batch = group.map((body) => ({ body, contentType: 'json' as const }));
      await callPeer('queue', QUEUE_SEND_MS, () => queue.sendBatch(batch));
    } catch (error) {
      throw new Failure('queue_unavailable', 'The queue does not take messages. Try again shortly.', {
        retryAfterS: 5,
        cause: error,
      });
    }
  }
}
