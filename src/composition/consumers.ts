import { sql } from 'drizzle-orm';
import type { BatchPorts, DeadLetter } from '../../queues/batch.ts';
import { type ChangesPorts, consumeChanges } from '../../queues/changes/consumer.ts';
import { consumeDead } from '../../queues/dead/consumer.ts';
import { consumeEvents, type EventsPorts } from '../../queues/events/consumer.ts';
import type { EventsMessage } from '../../queues/events/message.ts';
import { purposeOf } from '../../queues/names.ts';
import { consumeSink, type SinkPorts } from '../../queues/sink/consumer.ts';
import type { FoldableEvent } from '../features/fold.ts';
import { askEveryShard } from '../features/layout.ts';
import { foldAndInvalidate } from '../features/shards.ts';
import { deadLetterOf } from '../pipeline/dead-letters.ts';
import { kafkaConfig } from '../pipeline/kafka/config.ts';
import { sinkRecord } from '../pipeline/kafka/sink.ts';
import type { ReportLineage } from '../pipeline/lineage/observed.ts';
import { sha256Hex } from '../platform/digest.ts';
import { inBatch } from '../platform/tracing/tracing.ts';
import { partitionCounts, produceAll } from '../storage/kafka.ts';
import type { Lane } from '../storage/lane.ts';
import { isOutage } from '../storage/outage.ts';
import type { connect } from '../storage/postgres/connect.ts';
import { keepDeadLetters } from '../storage/postgres/quarantine.ts';
import { processingSpan } from '../storage/queue-spans.ts';
import { foldingShards, foldPorts } from './folding.ts';
import type { BoundIsolate } from './isolate.ts';
import { queueForSink } from './kafka.ts';
import { noteLineage } from './lineage.ts';
import { changeFeed } from './objects.ts';
import { changesQueue, changesQueueName, eventsQueue, eventsQueueName } from './queueing.ts';
import type { RequestScope } from './request-scope.ts';
import { armRelay, storeMessagesIn, sweepLane } from './storing.ts';

/** Passes a batch to the consumer of its queue. @throws Error for a queue without a consumer. */
export async function consume(batch: MessageBatch, bound: BoundIsolate, scope: RequestScope): Promise<void> {
  const { env, db } = bound;
  switch (purposeOf(batch.queue)) {
    case 'events':
      return await consumeEvents(batch, eventsPorts(bound, scope, 'live'));
    case 'events-bulk':
      return await consumeEvents(batch, eventsPorts(bound, scope, 'bulk'));
    case 'changes':
      return await consumeChanges(batch, changesPorts(bound, scope, 'live'));
    case 'changes-bulk':
      return await consumeChanges(batch, changesPorts(bound, scope, 'bulk'));
    case 'sink':
      return await consumeSink(batch, sinkPorts(bound));
    case 'dead':
      return await consumeDead(batch, { queue: env.DEAD, keepDead: (letters) => keepDead(db, letters) });
    default:
      throw new Error(
        `The queue ${batch.queue} has no consumer; wrangler.toml names one that is not Millrace's.`,
      );
  }
}

/** Keeps messages that no consumer can handle. A replayed letter that failed again is reopened. */
export async function keepDead(
  db: ReturnType<typeof connect>,
  letters: readonly DeadLetter[],
): Promise<void> {
  const kept = letters.map(({ message, detail }) => deadLetterOf(message, detail, sha256Hex));
  await keepDeadLetters(db, await Promise.all(kept));
}

/** A consumer writes lineage without a pause: a pause would delay the acknowledgement of its batch. */
function notingLineage(bound: BoundIsolate, scope: RequestScope): ReportLineage {
  return (facts) => noteLineage(bound, (work) => scope.keepAlive(work), facts, 0);
}

function deadLetters(
  { db, observation }: BoundIsolate,
  queue: string,
): Pick<BatchPorts<unknown>, 'keepDead' | 'isOutage'> {
  return {
    keepDead: async (letters) => {
      await keepDead(db, letters);
      observation.deadLetters(queue, letters.length);
    },
    isOutage,
  };
}

function eventsPorts(bound: BoundIsolate, scope: RequestScope, lane: Lane): EventsPorts {
  const { db, env } = bound;
  const storing = {
    keepAlive: (work: Promise<unknown>) => scope.keepAlive(work),
    noteLineage: notingLineage(bound, scope),
    isPatient: true,
    lane,
  };
  return {
    ...deadLetters(bound, eventsQueueName(lane)),
    queue: eventsQueue(env, lane),
    probe: () => db.execute(sql`select 1`),
    store: (messages) =>
      storeMessagesIn(bound, messages, storing, processingSpan(eventsQueueName(lane), itemsOf(messages))),
    sweepOutbox: () => sweepLane(env, lane),
    armRelay: () => armRelay(env),
  };
}

function changesPorts(bound: BoundIsolate, scope: RequestScope, lane: Lane): ChangesPorts {
  const { env, isolate } = bound;
  const { features } = isolate.catalog;
  const shards = foldingShards(bound);
  const keepAlive = (work: Promise<unknown>) => scope.keepAlive(work);
  const report = notingLineage(bound, scope);
  return {
    ...deadLetters(bound, changesQueueName(lane)),
    queue: changesQueue(env, lane),
    fold: (events) => {
      const of = processingSpan(changesQueueName(lane), events.length);
      const traces = events.map(({ trace }) => trace);
      return inBatch(bound.tracing, of, traces, keepAlive, ({ work, next }) =>
        foldAndInvalidate(eventsInTrace(events, next), foldPorts(bound.in(work), keepAlive, report)),
      );
    },
    appendToFeed: async (changes) => await changeFeed(env).append([...changes]),
    enqueueForKafka: (changes) => queueForSink(env, changes),
    probe: async () => {
      const entities = [...new Set(features.map(({ entity }) => entity.name))];
      await Promise.all([
        bound.newestToken(scope),
        changeFeed(env).append([]),
        ...entities.map((entity) => askEveryShard(entity, (shard) => shards.fold(shard, entity, []))),
      ]);
    },
  };
}

function itemsOf(messages: readonly EventsMessage[]): number {
  return messages.reduce((sum, { accepted, refused }) => sum + accepted.length + refused.length, 0);
}

/** Events that go on with other contexts. */
function eventsInTrace(
  events: readonly FoldableEvent[],
  next: (trace: string | undefined) => string | undefined,
): readonly FoldableEvent[] {
  return events.map((event) => {
    const trace = next(event.trace);
    return trace === undefined ? event : { ...event, trace };
  });
}

function sinkPorts(bound: BoundIsolate): SinkPorts {
  const config = kafkaConfig(bound.env);
  const topic = config?.sinkTopic;
  const ports = { ...deadLetters(bound, 'millrace-sink'), queue: bound.env.SINK };
  if (config === undefined || topic === undefined)
    return { ...ports, produce: undefined, probe: async () => undefined };
  return {
    ...ports,
    produce: (changes) =>
      produceAll(
        config,
        changes.map((change) => sinkRecord(topic, change)),
      ),
    probe: () => partitionCounts(config),
  };
}
