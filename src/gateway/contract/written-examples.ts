import type { AnswerExamples } from '../../define/catalog.ts';

/**
 * Examples of answers that no worker of `npm run examples` gives: it has no Kafka. The test that reads Kafka compares them
 * with an answer (`test/e2e/kafka-seek.long.test.ts`).
 */
export const WRITTEN_EXAMPLES: AnswerExamples = {
  seekKafkaPartition: { 202: { topic: 'events', partition: 0, offset: 0 } },
};
