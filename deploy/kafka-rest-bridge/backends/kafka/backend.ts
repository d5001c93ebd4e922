import { Admin, ListOffsetTimestamps, type MessageToProduce, Producer } from '@platformatic/kafka';
import type { Backend, FetchLimits, GroupMember, MemberOptions } from '../../backend.ts';
import { RequestError } from '../../errors.ts';
import {
  type Message,
  type OutgoingMessage,
  type Placement,
  type Position,
  partitionKey,
  type TopicPartition,
} from '../../messages.ts';
import { clientOptions, type KafkaOptions } from './connection.ts';
import { asking, hasKafkaCode } from './errors.ts';
import { KafkaMember } from './member.ts';
import { Readers } from './reader.ts';
import { Topics } from './topics.ts';

/** Any Kafka cluster from 3.5 on, through Kafka's own protocol. */
export class KafkaBackend implements Backend {
  readonly #options: KafkaOptions;
  readonly #admin: Admin;
  readonly #producer: Producer;
  readonly #topics: Topics;
  readonly #readers: Readers;

  private constructor(options: KafkaOptions) {
    this.#options = options;
    this.#admin = new Admin(clientOptions(options));
    // An idempotent producer, which implies acks=all: a message that the client library retries is stored once.
    this.#producer = new Producer({
      ...clientOptions(options),
      idempotent: true,
      repeatOnStaleMetadata: true,
    });
    this.#topics = new Topics(this.#admin, options.createPartitions);
    this.#readers = new Readers(options, this.#topics);
  }

  /** Throws if no broker answers. */
  static async open(options: KafkaOptions): Promise<KafkaBackend> {
    const backend = new KafkaBackend(options);
    try {
      await backend.topics();
      return backend;
    } catch (error) {
      await backend.close();
      throw error;
    }
  }

  async topics(): Promise<Map<string, number>> {
    return await this.#topics.all();
  }

  async ensureTopic(topic: string): Promise<number> {
    return await this.#topics.ensure(topic);
  }

  async produce(
    messages: readonly (OutgoingMessage & { partition: number; timestamp: number })[],
  ): Promise<Placement[]> {
    const { offsets = [] } = await asking(this.#producer.send({ messages: messages.map(toKafka) }));
    // Each partition receives its messages as one batch, in their order, so their offsets follow the batch's first
    // offset.
    const next = new Map(offsets.map((base) => [partitionKey(base), Number(base.offset)]));
    return messages.map(({ topic, partition, timestamp }) => {
      const key = partitionKey({ topic, partition });
      const offset = next.get(key);
      if (offset === undefined)
        throw new Error(`The cluster did not say where in ${key} it stored a message.`);
      next.set(key, offset + 1);
      return { topic, partition, offset, timestamp };
    });
  }

  async fetch(positions: readonly Position[], limits: FetchLimits, signal: AbortSignal): Promise<Message[]> {
    return await this.#readers.fetch(positions, limits, signal);
  }

  async offsets(
    partitions: readonly TopicPartition[],
    at: 'earliest' | 'latest' | number,
  ): Promise<Position[]> {
    for (const partition of partitions) await this.#topics.partition(partition);
    const timestamp =
      at === 'earliest'
        ? ListOffsetTimestamps.EARLIEST
        : at === 'latest'
          ? ListOffsetTimestamps.LATEST
          : BigInt(at);
    const topics = [...Map.groupBy(partitions, ({ topic }) => topic)].map(([name, own]) => ({
      name,
      partitions: own.map(({ partition }) => ({ partitionIndex: partition, timestamp })),
    }));
    const listed = await asking(this.#admin.listOffsets({ topics }));
    const found = new Map(
      listed.flatMap(({ name, partitions: own }) =>
        own.map((one) => [partitionKey({ topic: name, partition: one.partitionIndex }), Number(one.offset)]),
      ),
    );
    return partitions.map(({ topic, partition }) => ({
      topic,
      partition,
      offset: found.get(partitionKey({ topic, partition })) ?? -1,
    }));
  }

  async committed(group: string, partitions: readonly TopicPartition[]): Promise<Position[]> {
    for (const partition of partitions) await this.#topics.partition(partition);
    if (partitions.length === 0) return [];
    const topics = [...Map.groupBy(partitions, ({ topic }) => topic)].map(([name, own]) => ({
      name,
      partitionIndexes: own.map(({ partition }) => partition),
    }));
    const groups = await asking(
      this.#admin.listConsumerGroupOffsets({ groups: [{ groupId: group, topics }] }),
    );
    const found = new Map(
      groups.flatMap((one) =>
        one.topics.flatMap(({ name, partitions: own }) =>
          own.map((part) => [
            partitionKey({ topic: name, partition: part.partitionIndex }),
            Number(part.committedOffset),
          ]),
        ),
      ),
    );
    return partitions.map(({ topic, partition }) => ({
      topic,
      partition,
      offset: found.get(partitionKey({ topic, partition })) ?? -1,
    }));
  }

  async commit(group: string, positions: readonly Position[]): Promise<void> {
    for (const position of positions) await this.#topics.partition(position);
    const topics = [...Map.groupBy(positions, ({ topic }) => topic)].map(([name, own]) => ({
      name,
      partitionOffsets: own.map(({ partition, offset }) => ({ partition, offset: BigInt(offset) })),
    }));
    try {
      await this.#admin.alterConsumerGroupOffsets({ groupId: group, topics });
    } catch (error) {
      if (hasKafkaCode(error, 'UNKNOWN_MEMBER_ID')) {
        throw new RequestError(409, `Consumer group ${group} has members: only they may commit.`);
      }
      await asking(Promise.reject(error));
    }
  }

  join(options: MemberOptions): GroupMember {
    return new KafkaMember(this.#options, this.#topics, options);
  }

  async close(): Promise<void> {
    const clients = [this.#producer.close(), this.#admin.close(), this.#readers.close()];
    await Promise.allSettled(clients);
  }
}

function toKafka(message: OutgoingMessage & { partition: number; timestamp: number }): MessageToProduce {
  const { topic, partition, timestamp, key, value, headers } = message;
  return {
    topic,
    partition,
    timestamp: BigInt(timestamp),
    // The keys of the map are buffers, so a header may occur twice.
    headers: new Map(headers.map((header) => [Buffer.from(header.key), Buffer.from(header.value)])),
    ...(key !== null && { key: Buffer.from(key) }),
    ...(value !== null && { value: Buffer.from(value) }),
  };
}
