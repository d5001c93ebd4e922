import { Kafka, UpstashError } from '@upstash/kafka';
import * as z from 'zod';
import { callPeer } from '../platform/peer.ts';

/** Address and credentials of a Kafka REST server. */
export interface KafkaAccess {
  readonly url: string;
  readonly username: string;
  readonly password: string;
}

/** The bytes of a name, key or value that is not UTF-8, in base64. The bridge leaves its text empty. */
const bytesBesideText = { keyBase64: z.string().optional(), valueBase64: z.string().optional() };
/** A record as the REST protocol returns it. */
const KafkaRecord = z.object({
  topic: z.string(),
  partition: z.int(),
  offset: z.int(),
  key: z.string().nullable(),
  value: z.string().nullable(),
  headers: z.array(z.object({ key: z.string(), value: z.string(), ...bytesBesideText })),
  /** The id of the topic, which changes when the topic is created again; undefined where the server gives none. */
  topicId: z.string().optional(),
  ...bytesBesideText,
});
export type KafkaRecord = z.output<typeof KafkaRecord>;

/** How long a fetch waits for records, in milliseconds. An idle partition costs one call per period. */
const FETCH_WAIT_MS = 5_000;
/** A call fails after this long, in milliseconds. The client's own retries are over by then; it has no timeout itself. */
const CALL_TIMEOUT_MS = 30_000;
/** The most partitions of one call, as the bridge has it. */
const PARTITIONS_MAX = 1_000;
const RANGE_NOT_SATISFIABLE = 416;

/**
 * One partition as a consumer group reads it. The client tries each call six times within 16 s before it fails, so a
 * record may be written twice.
 */
export class KafkaPartition {
  readonly #kafka: Kafka;
  readonly #at: { readonly topic: string; readonly partition: number };
  readonly #group: string;

  constructor(
    access: KafkaAccess,
    group: string,
    at: { readonly topic: string; readonly partition: number },
  ) {
    this.#kafka = new Kafka(access);
    this.#group = group;
    this.#at = at;
  }

  /** The group's committed offset; undefined before its first commit. */
  async committed(): Promise<number | undefined> {
    const [position] = await answer(
      this.#kafka.consumer().committed({ ...this.#name(), topicPartitions: [this.#at] }),
    );
    const offset = position?.offset ?? -1;
    return offset < 0 ? undefined : offset;
  }

  async earliest(): Promise<number> {
    const asked = { timestamp: 'earliest', topicPartition: this.#at } as const;
    const [position] = await answer(this.#kafka.admin().topicPartitionOffsets(asked));
    return z.object({ offset: z.int().nonnegative() }).parse(position).offset;
  }

  /** The records from an offset on; null if the partition does not have that offset. */
  async fetch(offset: number): Promise<KafkaRecord[] | null> {
    try {
      const asked = { ...this.#at, offset, timeout: FETCH_WAIT_MS };
      return z.array(KafkaRecord).parse(await answer(this.#kafka.consumer().fetch(asked)));
    } catch (error) {
      if (error instanceof UpstashError && error.status === RANGE_NOT_SATISFIABLE) return null;
      throw error;
    }
  }

  /** Commits the offset of the next record that the group reads. */
  async commit(offset: number): Promise<void> {
    await answer(this.#kafka.consumer().commit({ ...this.#name(), offset: { ...this.#at, offset } }));
  }

  #name() {
    return { consumerGroupId: this.#group, instanceId: `${this.#at.topic}.${this.#at.partition}` };
  }
}

/** A record to write. */
export interface NewKafkaRecord {
  readonly topic: string;
  readonly key?: string;
  readonly value: string;
  readonly headers: { key: string; value: string }[];
}

/** Records of one call: some hundred kilobytes, of the 8 MB that the bridge accepts. */
const PRODUCE_RECORDS_MAX = 500;

/** Writes the records in order and resolves once all are written. If it fails, some may have been written. */
export async function produceAll(access: KafkaAccess, records: readonly NewKafkaRecord[]): Promise<void> {
  const producer = new Kafka(access).producer();
  for (let from = 0; from < records.length; from += PRODUCE_RECORDS_MAX)
    await answer(producer.produceMany(records.slice(from, from + PRODUCE_RECORDS_MAX)));
}

/** The number of partitions of each topic. */
export async function partitionCounts(
  access: KafkaAccess,
  deadlineMs: number = CALL_TIMEOUT_MS,
): Promise<ReadonlyMap<string, number>> {
  const topics = await answer(new Kafka(access).admin().topics(), deadlineMs);
  return new Map(Object.entries(z.record(z.string(), z.int().positive()).parse(topics)));
}

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}
/** Offsets by partition; a partition without one is absent. */
export type Offsets = (of: TopicPartition) => number | undefined;

/** The committed offsets of a group, in one call for many partitions. */
export async function committedOffsets(
  access: KafkaAccess,
  group: string,
  partitions: readonly TopicPartition[],
  deadlineMs: number,
): Promise<Offsets> {
  const consumer = new Kafka(access).consumer();
  const name = { consumerGroupId: group, instanceId: 'report' };
  return await offsetsOf(partitions, deadlineMs, (topicPartitions) =>
    consumer.committed({ ...name, topicPartitions }),
  );
}

/** Where partitions begin or end, in one call for many. */
export async function partitionEnds(
  access: KafkaAccess,
  timestamp: 'earliest' | 'latest',
  partitions: readonly TopicPartition[],
  deadlineMs: number,
): Promise<Offsets> {
  const admin = new Kafka(access).admin();
  return await offsetsOf(partitions, deadlineMs, (topicPartitions) =>
    admin.topicPartitionOffsets({ timestamp, topicPartitions }),
  );
}

const Position = z.object({ topic: z.string(), partition: z.int(), offset: z.int() });

async function offsetsOf(
  partitions: readonly TopicPartition[],
  deadlineMs: number,
  ask: (part: TopicPartition[]) => Promise<unknown>,
): Promise<Offsets> {
  const parts = Array.from({ length: Math.ceil(partitions.length / PARTITIONS_MAX) }, (_, at) =>
    partitions.slice(at * PARTITIONS_MAX, (at + 1) * PARTITIONS_MAX),
  );
  const positions = await Promise.all(
    parts.map(async (part) => z.array(Position).parse(await answer(ask(part), deadlineMs))),
  );
  const known = new Map(
    positions.flat().map(({ topic, partition, offset }) => [`${topic}/${partition}`, offset]),
  );
  return ({ topic, partition }) => {
    const offset = known.get(`${topic}/${partition}`) ?? -1;
    return offset < 0 ? undefined : offset;
  };
}

/** @throws PeerTimeout after the deadline. The call cannot be cancelled, so it may still take effect. */
function answer<T>(call: Promise<T>, deadlineMs: number = CALL_TIMEOUT_MS): Promise<T> {
  return callPeer('kafka', deadlineMs, () => call);
}
