import type { Services } from '../../src/composition/services.ts';
import { kafkaConfig } from '../../src/pipeline/kafka/config.ts';
import { sinkRecord } from '../../src/pipeline/kafka/sink.ts';
import { log } from '../../src/platform/logger.ts';
import { partitionCounts, produceAll } from '../../src/storage/kafka.ts';
import { handleBatch } from '../batch.ts';
import { halvesOfSink, SinkMessage } from './message.ts';

/** Writes changes to the sink's topic. What is written twice has the same id. */
export async function consumeSink(batch: MessageBatch, services: Services): Promise<void> {
  const config = kafkaConfig(services.env);
  const topic = config?.sinkTopic;
  if (config === undefined || topic === undefined) {
    log('warn', 'Changes for Kafka are dropped: no sink is configured any more.', {
      'event.action': 'kafka-sink',
    });
    return batch.ackAll();
  }
  await handleBatch(batch, services, {
    schema: SinkMessage,
    handle: async (messages) => {
      await produceAll(
        config,
        messages.flatMap(({ sink }) => sink.map((change) => sinkRecord(topic, change))),
      );
    },
    halves: halvesOfSink,
    probe: () => partitionCounts(config),
    queue: services.env.SINK,
  });
}
