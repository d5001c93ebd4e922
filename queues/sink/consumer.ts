import type { FeedChange } from '../../src/pipeline/feed/change.ts';
import { log } from '../../src/platform/logger.ts';
import { type BatchPorts, handleBatch } from '../batch.ts';
import { halvesOfSink, SinkMessage } from './message.ts';

export interface SinkPorts extends BatchPorts<SinkMessage> {
  /** Writes changes to the sink's topic, in order; undefined where no topic is configured. */
  readonly produce: ((changes: readonly FeedChange[]) => Promise<void>) | undefined;
}

/** Writes changes to Kafka. A change that is written twice has the same id in both records. */
export async function consumeSink(batch: MessageBatch, ports: SinkPorts): Promise<void> {
  const { produce } = ports;
  if (produce === undefined) {
    log('warn', 'Changes for Kafka are dropped: KAFKA_SINK_TOPIC is no longer set.', {
      'event.action': 'kafka-sink',
    });
    return batch.ackAll();
  }
  const handle = (messages: readonly SinkMessage[]) => produce(messages.flatMap(({ sink }) => sink));
  await handleBatch(batch, { schema: SinkMessage, handle, halves: halvesOfSink }, ports);
}
