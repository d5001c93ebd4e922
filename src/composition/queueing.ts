import type { EventsMessage } from '../../queues/events/message.ts';
import { eventsMessage, type QueueItem } from '../pipeline/ingest.ts';
import { hashesOf, identityHash, QUEUED_SHARDS } from '../pipeline/queued.ts';
import { log } from '../platform/logger.ts';
import { sendChunked } from '../storage/queue.ts';
import type { Env } from './env.ts';
import { queuedEvents } from './objects.ts';

/**
 * Hands events to the queue and remembers that it has them: in this order, so that nothing is told to be queued that
 * is not.
 *
 * @throws Failure `queue_unavailable`; then some of the events may have been taken. Consumers are idempotent.
 */
export async function enqueueEvents(
  env: Env,
  items: readonly QueueItem[],
  receivedAt: number,
): Promise<void> {
  await sendChunked(env.EVENTS, items, (chunk): EventsMessage => eventsMessage(chunk, receivedAt));
  const hashes = hashesOf(items);
  try {
    if (hashes.length > 0) await queuedEvents(env, (hashes[0] ?? 0) % QUEUED_SHARDS).note(hashes);
  } catch (error) {
    const message =
      'It is not remembered that events are queued; until they are stored nobody knows of them.';
    log('warn', message, { 'event.action': 'ingest', events: items.length }, error);
  }
}

/** Whether the queue has taken an event of this source and id lately; it may have left it since. */
export async function wasQueued(env: Env, source: string, id: string): Promise<boolean> {
  const hash = identityHash(source, id);
  try {
    const asked = Array.from({ length: QUEUED_SHARDS }, (_, shard) => queuedEvents(env, shard).has(hash));
    return (await Promise.all(asked)).includes(true);
  } catch (error) {
    log('warn', 'What is queued could not be asked for.', { 'event.action': 'event-status' }, error);
    return false;
  }
}
