import { Kafka, UpstashError } from '@upstash/kafka';
import * as z from 'zod';
import { withTimeout } from '../platform/clock.ts';

/** How Kafka's REST protocol is reached. */
export interface KafkaAccess {
  readonly url: string;
  readonly username: string;
  readonly password: string;
}

/** A record as the protocol gives it. */
const KafkaRecord = z.object({
  topic: z.string(),
  partition: z.int(),
  offset: z.int(),
  key: z.string().nullable(),
  value: z.string().nullable(),
  headers: z.array(z.object({ key: z.string(), value: z.string() })),
});
export type KafkaRecord = z.output<typeof KafkaRecord>;

/** How long a question waits for records, in milliseconds: an idle partition costs a call this often. */
const FETCH_WAIT_MS = 5_000;
/** A call that has no answer after this long has failed; the client's own tries are over by then, and it has no limit. */
const CALL_TIMEOUT_MS = 30_000;
const RANGE_NOT_SATISFIABLE = 416;

/**
 * One partition as a group reads it. The client tries each call six times within 16 s before it fails, so what is
 * written may be there twice.
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

  /** What the group has committed; undefined where it has not. */
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

  /** The offset that the next record gets. */
  async latest(): Promise<number> {
    return await this.#offset('latest');
  }

  /** Records from an offset on; null where the partition does not have it. */
  async fetch(offset: number): Promise<KafkaRecord[] | null> {
    try {
      const asked = { ...this.#at, offset, timeout: FETCH_WAIT_MS };
      return z.array(KafkaRecord).parse(await answer(this.#kafka.consumer().fetch(asked)));
    } catch (error) {
      if (error instanceof UpstashError && error.status === RANGE_NOT_SATISFIABLE) return null;
      throw error;
    }
  }

  /** Moves the group on: the next that it reads is this one. */
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

/** A record that is to be written. */
export interface NewKafkaRecord {
  readonly topic: string;
  readonly key?: string;
  readonly value: string;
  readonly headers: { key: string; value: string }[];
}

/** Records of one call: some hundred kilobytes, of the 8 MB that the bridge takes. */
const PRODUCE_RECORDS_MAX = 500;

/** Returns once all are written, in order; where it fails, some may be. */
export async function produceAll(access: KafkaAccess, records: readonly NewKafkaRecord[]): Promise<void> {
  const producer = new Kafka(access).producer();
  for (let from = 0; from < records.length; from += PRODUCE_RECORDS_MAX)
    await answer(producer.produceMany(records.slice(from, from + PRODUCE_RECORDS_MAX)));
}

/** How many partitions each topic has. */
export async function partitionCounts(access: KafkaAccess): Promise<ReadonlyMap<string, number>> {
  const topics = await answer(new Kafka(access).admin().topics());
  return new Map(Object.entries(z.record(z.string(), z.int().positive()).parse(topics)));
}

/** @throws Error where it takes too long; the call itself cannot be called back, and may still take effect. */
function answer<T>(call: Promise<T>): Promise<T> {
  return withTimeout(call, CALL_TIMEOUT_MS, () => new Error('The Kafka REST bridge does not answer.'));
}
