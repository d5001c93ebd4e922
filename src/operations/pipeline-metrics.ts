import type { FeedStatus } from '../pipeline/feed/stream.ts';
import type { PartitionReport } from '../pipeline/kafka/report.ts';
import type { Metric } from './metrics.ts';

/** The reports of the pipeline's parts; undefined for a part that did not answer. */
export interface PipelineReport {
  readonly feed: FeedStatus | undefined;
  readonly kafka: readonly PartitionReport[] | undefined;
}

/** Gauges of the live feed and of Kafka. */
export function pipelineMetricsOf({ feed, kafka }: PipelineReport): Metric[] {
  const partitions = (kafka ?? []).map((of) => ({
    labels: { topic: of.topic, partition: String(of.partition) },
    of,
  }));
  return [
    {
      name: 'millrace_feed_readers',
      help: 'Streams of the live feed.',
      type: 'gauge',
      series: feed === undefined ? [] : [{ labels: {}, value: feed.readers }],
    },
    {
      name: 'millrace_kafka_up',
      help: '1 if the Kafka REST bridge answered, or no topics are configured; else 0.',
      type: 'gauge',
      series: [{ labels: {}, value: Number(isUp(kafka)) }],
    },
    {
      name: 'millrace_kafka_lag',
      help: 'Records of a partition that are not stored yet.',
      type: 'gauge',
      series: partitions.flatMap(({ labels, of }) => answered(labels, of.lag)),
    },
    {
      name: 'millrace_kafka_failures',
      help: 'Consecutive failed steps of a partition.',
      type: 'gauge',
      series: partitions.flatMap(({ labels, of }) => answered(labels, of.failures)),
    },
  ];
}

/** False if the bridge left a part of the report unanswered. */
function isUp(kafka: PipelineReport['kafka']): boolean {
  return kafka?.every(({ unanswered }) => unanswered.every((part) => part === 'reader')) ?? false;
}

function answered(labels: Record<string, string>, value: number | null) {
  return value === null ? [] : [{ labels, value }];
}
