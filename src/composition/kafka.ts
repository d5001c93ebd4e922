import type { SinkMessage } from '../../queues/sink/message.ts';
import type { FeedChange } from '../pipeline/feed/change.ts';
import { kafkaConfig } from '../pipeline/kafka/config.ts';
import { type PartitionReport, reportOf } from '../pipeline/kafka/report.ts';
import { calling, Failure } from '../platform/failure.ts';
import { committedOffsets, type Offsets, partitionCounts, partitionEnds } from '../storage/kafka.ts';
import { sendChunked } from '../storage/queue.ts';
import type { Env } from './env.ts';
import { kafkaSource } from './objects.ts';

/** How long each part of a report is waited for, in milliseconds, as for other reports. */
const REPORT_MS = 2_000;
/** The same for a request that changes something. The client has tried a failing call several times by then. */
const CHANGE_MS = 5_000;

/**
 * Starts a reader for each partition of the source topics that has none. It does nothing if Kafka is not configured.
 *
 * @returns the number of partitions. Topics that do not exist yet have none.
 * @throws Failure `kafka_unavailable` if the bridge or a reader does not answer.
 */
export async function startKafkaSources(env: Env): Promise<number> {
  return await asking(async () => {
    const partitions = await sourcePartitions(env, CHANGE_MS);
    await Promise.all(
      partitions.map(({ topic, partition }) => kafkaSource(env, topic, partition).start(topic, partition)),
    );
    return partitions.length;
  });
}

/**
 * Sets the position of a partition, from which its reader goes on with its next step.
 *
 * @returns the offset.
 * @throws Failure `not_found` for a partition that is not a source, `unprocessable` for an offset that the partition
 *   does not have, `kafka_unavailable` if the bridge or the reader does not answer.
 */
export async function seekKafka(
  env: Env,
  at: { readonly topic: string; readonly partition: number },
  to: 'earliest' | 'latest' | number,
): Promise<number> {
  const bounds = await asking(() => boundsOf(env, at));
  if (bounds === undefined)
    throw new Failure('not_found', 'No source topic has this partition. Name one of GET /v1/admin/kafka.', {
      pointer: '/topic',
    });
  const { earliest, latest } = bounds;
  const offset = typeof to === 'number' ? to : bounds[to];
  if (offset < earliest || offset > latest)
    throw new Failure(
      'unprocessable',
      `The partition begins at offset ${earliest} and its next record gets ${latest}: name an offset from ${earliest} to ${latest}.`,
      { pointer: '/to' },
    );
  await asking(() => kafkaSource(env, at.topic, at.partition).seek(at.topic, at.partition, offset));
  return offset;
}

/** The first offset of a partition and that of its next record; undefined if it is not of a source topic. */
async function boundsOf(
  env: Env,
  at: { readonly topic: string; readonly partition: number },
): Promise<{ earliest: number; latest: number } | undefined> {
  const config = kafkaConfig(env);
  const sources = await sourcePartitions(env, CHANGE_MS);
  const isKnown = sources.some(({ topic, partition }) => topic === at.topic && partition === at.partition);
  if (config === undefined || !isKnown) return undefined;
  const [earliest, latest] = await Promise.all(
    (['earliest', 'latest'] as const).map(async (end) =>
      (await partitionEnds(config, end, [at], CHANGE_MS))(at),
    ),
  );
  return earliest === undefined || latest === undefined ? undefined : { earliest, latest };
}

/**
 * The state of each partition. Its parts are asked at once, each with a deadline; a part that does not answer is named.
 *
 * @throws Failure `kafka_unavailable` if the bridge does not say which partitions there are.
 */
export async function kafkaReport(env: Env): Promise<PartitionReport[]> {
  const config = kafkaConfig(env);
  if (config === undefined) return [];
  const partitions = await asking(() => sourcePartitions(env, REPORT_MS));
  if (partitions.length === 0) return [];
  const unlessSilent = <T>(answer: Promise<T>) => answer.catch(() => undefined);
  const [committed, earliest, latest, readers] = await Promise.all([
    unlessSilent(committedOffsets(config, config.group, partitions, REPORT_MS)),
    unlessSilent(partitionEnds(config, 'earliest', partitions, REPORT_MS)),
    unlessSilent(partitionEnds(config, 'latest', partitions, REPORT_MS)),
    Promise.all(
      partitions.map(({ topic, partition }) => unlessSilent(kafkaSource(env, topic, partition).status())),
    ),
  ]);
  return partitions.map((at, index) => {
    const of = (offsets: Offsets | undefined) =>
      offsets === undefined ? undefined : { offset: offsets(at) };
    const answers = { committed: of(committed), earliest: of(earliest), latest: of(latest) };
    return reportOf(at, { ...answers, reader: readers[index] });
  });
}

async function asking<T>(call: () => Promise<T>): Promise<T> {
  return await calling(
    call,
    'kafka_unavailable',
    'The Kafka REST bridge, or a reader of a partition, does not answer.',
    5,
  );
}

/** @throws Failure `queue_unavailable` */
export async function queueForSink(env: Env, changes: readonly FeedChange[]): Promise<void> {
  if (changes.length === 0 || (env.KAFKA_SINK_TOPIC ?? '') === '') return;
  await sendChunked(env.SINK, changes, (sink): SinkMessage => ({ v: 1, sink: [...sink] }));
}

async function sourcePartitions(
  env: Env,
  deadlineMs: number,
): Promise<{ topic: string; partition: number }[]> {
  const config = kafkaConfig(env);
  if (config === undefined || config.sourceTopics.length === 0) return [];
  const counts = await partitionCounts(config, deadlineMs);
  return config.sourceTopics.flatMap((topic) =>
    Array.from({ length: counts.get(topic) ?? 0 }, (_, partition) => ({ topic, partition })),
  );
}
