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
  ...bytesBesideText,
});
export type KafkaRecord = z.output<typeof KafkaRecord>;

/** How long a fetch waits for records, in milliseconds. An idle partition costs one call per period. */
const FETCH_WAIT_MS = 5_000;
/** A call fails after this long, in milliseconds. The client's own retries are over by then; it has no timeout itself. */
const CALL_TIMEOUT_MS = 30_000;
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
    return await this.#offset('earliest');
  }

  /** The offset of the next record to be written. */
  async latest(): Promise<number> {
    return await this.#offset('latest');
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

  async #offset(timestamp: 'earliest' | 'latest'): Promise<number> {
    const asked = { timestamp, topicPartition: this.#at };
    const [position] = await answer(this.#kafka.admin().topicPartitionOffsets(asked));
    return z.object({ offset: z.int().nonnegative() }).parse(position).offset;
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
export async function partitionCounts(access: KafkaAccess): Promise<ReadonlyMap<string, number>> {
  const topics = await answer(new Kafka(access).admin().topics());
  return new Map(Object.entries(z.record(z.string(), z.int().positive()).parse(topics)));
}

/** @throws PeerTimeout after `CALL_TIMEOUT_MS`. The call cannot be cancelled, so it may still take effect. */
function answer<T>(call: Promise<T>): Promise<T> {
  return callPeer('kafka', CALL_TIMEOUT_MS, () => call);
}
