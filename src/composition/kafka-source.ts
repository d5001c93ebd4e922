import type { SourceOf } from '../../durable-objects/kafka-source/object.ts';
import type { Catalog } from '../define/catalog.ts';
import { eventsMessage } from '../pipeline/ingest.ts';
import { type KafkaConfig, kafkaConfig } from '../pipeline/kafka/config.ts';
import type { SourcePorts } from '../pipeline/kafka/source.ts';
import { storeObserved } from '../pipeline/lineage/observed.ts';
import { LineageRecorder } from '../pipeline/lineage/recorder.ts';
import { systemNow } from '../platform/clock.ts';
import { sha256Hex } from '../platform/digest.ts';
import { newId } from '../platform/ids.ts';
import { type LogFields, log } from '../platform/logger.ts';
import { systemRandom } from '../platform/random.ts';
import { KafkaPartition } from '../storage/kafka.ts';
import { isOutage } from '../storage/outage.ts';
import { classifyFault, connect, isTimeout } from '../storage/postgres/connect.ts';
import { storeEvents } from '../storage/postgres/event-store.ts';
import { type PredictionRecord, type RunTally, recordLineage } from '../storage/postgres/lineage-runs.ts';
import { tallyShard } from '../storage/postgres/lineage-tallies.ts';
import { keepRefused } from '../storage/postgres/quarantine.ts';
import { sendChunked } from '../storage/queue.ts';
import { databaseTarget } from './config.ts';
import type { Env } from './env.ts';
import { outboxRelay } from './objects.ts';

export type SourceEnv = Pick<
  Env,
  'DATABASE_URL' | 'DATABASE_ENDPOINT' | 'DATABASE_REGION' | 'OUTBOX_RELAY' | 'EVENTS'
>;

const lineage = new LineageRecorder();

/** Reads the partitions of the configured source topics. */
export function kafkaSourceOf(env: SourceEnv, catalog: Pick<Catalog, 'eventTypes'>): SourceOf {
  return (at, keepAlive) => {
    const config = kafkaConfig(env);
    if (config === undefined || !config.sourceTopics.includes(at.topic)) return undefined;
    return sourcePorts(env, catalog, config, at, keepAlive);
  };
}

/** Where a partition is, for a line of the log. */
function fieldsOf({ topic, partition }: { readonly topic: string; readonly partition: number }): LogFields {
  return { 'millrace.kafka.topic': topic, 'millrace.kafka.partition': partition };
}

/** Reads from the bridge, stores and relays. The next pass over `quality_pending` scores the stored events. */
function sourcePorts(
  env: SourceEnv,
  catalog: Pick<Catalog, 'eventTypes'>,
  config: KafkaConfig,
  at: { readonly topic: string; readonly partition: number },
  keepAlive: (work: Promise<unknown>) => void,
): Omit<SourcePorts, 'knownTopic' | 'learnTopic'> {
  const db = connect(databaseTarget(env));
  const partition = new KafkaPartition(config, config.group, at);
  const storing = {
    types: catalog.eventTypes,
    storeEvents: (events: Parameters<typeof storeEvents>[1]) => storeEvents(db, events, newId()),
    keepRefused: async (refused: Parameters<typeof keepRefused>[1]) =>
      void (await keepRefused(db, refused, newId())),
    classifyFault,
    isTimeout,
    fingerprint: sha256Hex,
  };
  const shard = tallyShard(systemRandom);
  const recorder = {
    now: systemNow,
    keepAlive,
    pause: async () => undefined,
    write: (runs: readonly RunTally[], predictions: readonly PredictionRecord[]) =>
      recordLineage(db, runs, predictions, shard),
    lost: (what: string, reason: string, by: number) =>
      log('warn', 'Lineage was lost.', {
        'event.action': 'lineage',
        'millrace.source': what,
        'event.reason': reason,
        'millrace.count': by,
      }),
  };
  return {
    at,
    types: catalog.eventTypes,
    now: systemNow,
    committed: () => partition.committed(),
    earliest: () => partition.earliest(),
    fetch: (offset) => partition.fetch(offset),
    store: async (message) => {
      await outboxRelay(env).arm();
      return await storeObserved([message], storing, (facts) => lineage.record(facts, recorder));
    },
    enqueue: ({ accepted, refused, receivedAt }) =>
      sendChunked(
        env.EVENTS,
        [...accepted.map((one) => ({ accepted: one })), ...refused.map((one) => ({ refused: one }))],
        (chunk) => eventsMessage(chunk, receivedAt),
      ),
    isOutage,
    relay: () => outboxRelay(env).sweepLive(),
    commit: (offset) => partition.commit(offset),
    lost: (from, to) =>
      log(
        'error',
        'Kafka dropped records before they were read. The reader continues with the oldest record.',
        {
          'event.action': 'kafka-source',
          ...fieldsOf(at),
          'millrace.kafka.from': String(from),
          'millrace.kafka.to': String(to),
        },
      ),
    recreated: (from, to) =>
      log('warn', 'A Kafka topic was created again. The reader goes back to its first record.', {
        'event.action': 'kafka-source',
        ...fieldsOf(at),
        'millrace.kafka.from': String(from),
        'millrace.kafka.to': String(to),
      }),
  };
}
