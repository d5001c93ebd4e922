import { purposeOf, type QueuePurpose } from '../../queues/names.ts';
import { Backlog, type CountedQueue, type QueuedItems } from '../pipeline/backlog.ts';
import type { Env } from './env.ts';

/** The items that this isolate has sent to its queues and not acknowledged yet. */
const backlog = new Backlog();

/** The queues whose items are counted. */
const COUNTED: Readonly<Record<QueuePurpose, CountedQueue | undefined>> = {
  events: 'events',
  'events-bulk': 'events',
  changes: 'changes',
  'changes-bulk': 'changes',
  sink: 'sink',
  dead: undefined,
};

type Counting = Partial<
  Pick<Env, 'INSTANCE_ID' | 'EVENTS' | 'EVENTS_BULK' | 'CHANGES' | 'CHANGES_BULK' | 'SINK'>
>;

/** The bindings with queues that count what is sent, where INSTANCE_ID marks the local stack; else the bindings. */
export function countingQueues<Bindings extends Counting>(env: Bindings): Bindings {
  if (!isLocal(env)) return env;
  const { EVENTS, EVENTS_BULK, CHANGES, CHANGES_BULK, SINK } = env;
  return {
    ...env,
    ...(EVENTS === undefined ? {} : { EVENTS: counting('events', EVENTS) }),
    ...(EVENTS_BULK === undefined ? {} : { EVENTS_BULK: counting('events', EVENTS_BULK) }),
    ...(CHANGES === undefined ? {} : { CHANGES: counting('changes', CHANGES) }),
    ...(CHANGES_BULK === undefined ? {} : { CHANGES_BULK: counting('changes', CHANGES_BULK) }),
    ...(SINK === undefined ? {} : { SINK: counting('sink', SINK) }),
  };
}

/** The batch, with messages that count their acknowledgement. */
export function countingBatch(batch: MessageBatch, env: Counting): MessageBatch {
  const purpose = purposeOf(batch.queue);
  const queue = purpose && COUNTED[purpose];
  if (queue === undefined || !isLocal(env)) return batch;
  const messages = batch.messages.map((message): Message => {
    const { id, timestamp, body, attempts } = message;
    const ack = () => {
      backlog.acknowledged(queue, body);
      message.ack();
    };
    return { id, timestamp, body, attempts, ack, retry: (options) => message.retry(options) };
  });
  return {
    queue: batch.queue,
    metadata: batch.metadata,
    messages,
    ackAll: () => {
      for (const message of messages) message.ack();
    },
    retryAll: (options) => batch.retryAll(options),
  };
}

/** What is queued and not handled yet; undefined where this isolate cannot know it. */
export function queuedItems(env: Counting): QueuedItems | undefined {
  return isLocal(env) ? backlog.items : undefined;
}

function isLocal({ INSTANCE_ID }: Counting): boolean {
  return INSTANCE_ID !== undefined;
}

function counting<Body>(name: CountedQueue, queue: Queue<Body>): Queue<Body> {
  return {
    metrics: () => queue.metrics(),
    send: (body, options) => backlog.sending(name, [body], () => queue.send(body, options)),
    sendBatch: (messages, options) => {
      const sent = [...messages];
      const bodies = sent.map(({ body }) => body);
      return backlog.sending(name, bodies, () => queue.sendBatch(sent, options));
    },
  };
}
