import type { ChangesMessage } from '../../queues/changes/message.ts';
import type { EventsMessage } from '../../queues/events/message.ts';
import { identityHash, identityHashes } from '../pipeline/identity.ts';
import { eventsMessage, type QueueItem } from '../pipeline/ingest.ts';
import { calling, Failure } from '../platform/failure.ts';
import { GroupCommit } from '../platform/group-commit.ts';
import { log } from '../platform/logger.ts';
import { sized } from '../platform/pack.ts';
import { callPeer, QUEUE_SEND_MS } from '../platform/peer.ts';
import type { Lane } from '../storage/lane.ts';
import { MESSAGE_BYTES_MAX, MESSAGE_ITEMS_MAX, sendChunked } from '../storage/queue.ts';
import type { Env } from './env.ts';
import { queuedEvents } from './objects.ts';

/** Objects that note queued events. All events of a request are noted by the same object. */
export const QUEUED_SHARDS = 4;

/** Items of a request that are sent together with those of other requests; a request with more sends alone. */
const GROUPED_REQUEST_ITEMS_MAX = 10;
/** The longest time for which events gather while the queue takes the group before them, in milliseconds. */
const GATHER_MS = 25;
/** A group is one message. Its requests wait as long as the queue and the record of its events may take. */
const GROUP_LIMITS = {
  items: MESSAGE_ITEMS_MAX,
  bytes: MESSAGE_BYTES_MAX,
  gatherMs: GATHER_MS,
  waitMs: GATHER_MS + QUEUE_SEND_MS + 1_000,
};

interface Received {
  readonly item: QueueItem;
  readonly receivedAt: number;
}

/** The groups of this isolate, by lane. They hold data of requests only while these wait. */
const groups: Readonly<Record<Lane, GroupCommit<Received>>> = {
  live: new GroupCommit(GROUP_LIMITS),
  bulk: new GroupCommit(GROUP_LIMITS),
};

/** The queue of a lane's events. */
export function eventsQueue(env: Pick<Env, 'EVENTS' | 'EVENTS_BULK'>, lane: Lane): Queue<EventsMessage> {
  return lane === 'live' ? env.EVENTS : env.EVENTS_BULK;
}

/** What metrics and spans call the queue of a lane's events, in each environment. */
export function eventsQueueName(lane: Lane): string {
  return lane === 'live' ? 'millrace-events' : 'millrace-events-bulk';
}

/** What they call the queue of a lane's changes. */
export function changesQueueName(lane: Lane): string {
  return lane === 'live' ? 'millrace-changes' : 'millrace-changes-bulk';
}

/** The queue of a lane's changes. */
export function changesQueue(env: Pick<Env, 'CHANGES' | 'CHANGES_BULK'>, lane: Lane): Queue<ChangesMessage> {
  return lane === 'live' ? env.CHANGES : env.CHANGES_BULK;
}

/**
 * Enqueues the events of a request. Small requests at the same time share a message of the queue and a call that records
 * their events. The consumer judges the events of a message as if all had arrived with the last of them.
 *
 * @throws Failure `queue_unavailable`; then some of the events may be queued. Consumers are idempotent.
 */
export async function enqueueEvents(
  env: Env,
  items: readonly QueueItem[],
  receivedAt: number,
  lane: Lane,
  keepAlive: (work: Promise<unknown>) => void,
): Promise<void> {
  if (items.length === 0) return;
  if (items.length > GROUPED_REQUEST_ITEMS_MAX) return await sendEvents(env, items, receivedAt, lane);
  const received = items.map((item) => ({ ...sized(item), item: { item, receivedAt } }));
  await groups[lane].add(received, {
    commit: (group) =>
      sendEvents(
        env,
        group.map(({ item }) => item),
        Math.max(...group.map((one) => one.receivedAt)),
        lane,
      ),
    keepAlive,
    onTimeout: () =>
      new Failure('queue_unavailable', 'The queue did not take the events in time. Send them again.', {
        retryAfterS: 5,
      }),
  });
}

/**
 * Sends events to the queue, then records them as queued. The reverse order could report an event as queued that is not.
 *
 * @throws Failure `queue_unavailable`; then some of the events may be queued. Consumers are idempotent.
 */
async function sendEvents(
  env: Env,
  items: readonly QueueItem[],
  receivedAt: number,
  lane: Lane,
): Promise<void> {
  await sendChunked(
    eventsQueue(env, lane),
    items,
    (chunk): EventsMessage => eventsMessage(chunk, receivedAt),
  );
  const hashes = identityHashes(items.map((item) => ('accepted' in item ? item.accepted : item.refused.raw)));
  try {
    if (hashes.length > 0) await queuedEvents(env, (hashes[0] ?? 0) % QUEUED_SHARDS).note(hashes);
  } catch (error) {
    const message = 'Queued events could not be recorded. Their status is "not found" until they are stored.';
    log('warn', message, { 'event.action': 'ingest', 'millrace.count': items.length }, error);
  }
}

/** Whether an event of this source and id was enqueued recently. It may be stored by now. */
export async function wasQueued(env: Env, source: string, id: string): Promise<boolean> {
  const hash = identityHash(source, id);
  try {
    const asked = Array.from({ length: QUEUED_SHARDS }, (_, shard) => queuedEvents(env, shard).has(hash));
    return (await Promise.all(asked)).includes(true);
  } catch (error) {
    log(
      'warn',
      'The records of queued events could not be read. The status of an event that is only queued is "not found".',
      { 'event.action': 'event-status' },
      error,
    );
    return false;
  }
}

/** Enqueues one message unchanged. @throws Failure `queue_unavailable` */
export async function enqueueMessage<Message>(queue: Queue<Message>, message: Message): Promise<void> {
  const detail = 'The queue does not take messages. Try again shortly.';
  const send = () => callPeer('queue', QUEUE_SEND_MS, () => queue.send(message, { contentType: 'json' }));
  await calling(send, 'queue_unavailable', detail, 5);
}
