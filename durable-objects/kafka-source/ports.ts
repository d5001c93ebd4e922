import { catalog } from '../../src/catalog/index.ts';
import { databaseTarget } from '../../src/config.ts';
import type { Env } from '../../src/env.ts';
import { eventsMessage } from '../../src/pipeline/ingest.ts';
import type { KafkaConfig } from '../../src/pipeline/kafka/config.ts';
import type { SourcePorts } from '../../src/pipeline/kafka/source.ts';
import { storeObserved } from '../../src/pipeline/lineage/observed.ts';
import { LineageRecorder } from '../../src/pipeline/lineage/recorder.ts';
import { systemNow } from '../../src/platform/clock.ts';
import { sha256Hex } from '../../src/platform/digest.ts';
import { newId } from '../../src/platform/ids.ts';
import { log } from '../../src/platform/logger.ts';
import { KafkaPartition } from '../../src/storage/kafka.ts';
import { outboxRelay } from '../../src/storage/objects.ts';
import { isOutage } from '../../src/storage/outage.ts';
import { classifyFault, connect, isTimeout } from '../../src/storage/postgres/connect.ts';
import { storeEvents } from '../../src/storage/postgres/event-store.ts';
import { recordLineage } from '../../src/storage/postgres/lineage-runs.ts';
import { keepRefused } from '../../src/storage/postgres/quarantine.ts';
import { sendChunked } from '../../src/storage/queue.ts';

export type SourceEnv = Pick<Env, 'DATABASE_URL' | 'DATABASE_ENDPOINT' | 'OUTBOX_RELAY' | 'EVENTS'>;

const lineage = new LineageRecorder();

/**
 * A source's effects, on the real bridge, database and relay. What is stored is scored later, as what stands pending
 * in the database is.
 */
export function sourcePorts(
  env: SourceEnv,
  config: KafkaConfig,
  at: { readonly topic: string; readonly partition: number },
  keepAlive: (work: Promise<unknown>) => void,
): SourcePorts {
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
  const recorder = {
    now: systemNow,
    keepAlive,
    pause: async () => undefined,
    write: (...written: Parameters<typeof recordLineage> extends [unknown, ...infer Rest] ? Rest : never) =>
      recordLineage(db, ...written),
    lost: (what: string, reason: string, by: number) =>
      log('warn', 'Lineage was lost.', { 'event.action': 'lineage', what, 'event.reason': reason, by }),
  };
  return {
    types: catalog.eventTypes,
    now: systemNow,
    committed: () => partition.committed(),
    earliest: () => partition.earliest(),
    fetch: (offset) => partition.fetch(offset),
    store: async (message) => {
      await outboxRelay(env).arm();
      return await storeObserved([message], storing, (facts) => lineage.tell(facts, recorder));
    },
    enqueue: ({ accepted, refused, receivedAt }) =>
      sendChunked(
        env.EVENTS,
        [...accepted.map((one) => ({ accepted: one })), ...refused.map((one) => ({ refused: one }))],
        (chunk) => eventsMessage(chunk, receivedAt),
      ),
    isOutage,
    relay: () => outboxRelay(env).sweep(),
    commit: (offset) => partition.commit(offset),
    lost: (from, to) =>
      log('error', 'Kafka has dropped records that were not read.', {
        'event.action': 'kafka-source',
        ...at,
        from,
        to,
      }),
  };
}
