import type { Backend } from './backend.ts';
import type { Delivery } from './consumer-instance.ts';
import { Consumers } from './consumers.ts';
import { RequestError, unknownPartition } from './errors.ts';
import { ANSWER_BYTES_MAX, MESSAGES_PER_ANSWER_MAX } from './limits.ts';
import type { OutgoingMessage, Placement, TopicPartition } from './messages.ts';
import { partitionOf } from './partitioner.ts';
import type { Command, ConsumerName } from './protocol.ts';

export interface Answer {
  body: unknown;
  /** Set if messages are delivered: receives whether the answer was sent. */
  delivery?: Delivery;
}

const SUCCESS = { result: 'Success', status: 200 };

/** Runs the protocol's operations on either backend. */
export class Service {
  readonly #backend: Backend;
  readonly #consumers: Consumers;
  #produced = 0;

  constructor(backend: Backend, report: (line: string) => void) {
    this.#backend = backend;
    this.#consumers = new Consumers(backend, report);
  }

  async execute(command: Command, signal: AbortSignal): Promise<Answer> {
    switch (command.kind) {
      case 'produce': {
        const placements = await this.#produce(command.messages);
        return { body: command.isBare ? placements[0] : placements };
      }
      case 'fetch': {
        const limits = {
          waitMs: command.waitMs,
          maxMessages: MESSAGES_PER_ANSWER_MAX,
          maxBytes: ANSWER_BYTES_MAX,
        };
        return { body: await this.#backend.fetch(command.positions, limits, signal) };
      }
      case 'consume': {
        const instance = await this.#consumers.open(command, command.topics, command.settings);
        const delivery = await instance.consume(command.waitMs, signal);
        return { body: delivery.messages, delivery };
      }
      case 'commit':
        await this.#commit(command, command.positions);
        return { body: SUCCESS };
      case 'committed':
        return {
          body: await within(command.waitMs, this.#backend.committed(command.group, command.partitions)),
        };
      case 'offsets':
        return { body: await within(command.waitMs, this.#backend.offsets(command.partitions, command.at)) };
      case 'topics':
        return { body: Object.fromEntries(await this.#backend.topics()) };
      case 'consumers':
        return { body: this.#listConsumers() };
      case 'delete-consumer':
        await this.#consumers.remove({ group: command.group, instance: command.instance });
        return { body: SUCCESS };
    }
  }

  async close(): Promise<void> {
    await this.#consumers.close();
  }

  /** Validates all messages before it writes the first. */
  async #produce(messages: readonly OutgoingMessage[]): Promise<Placement[]> {
    const partitions = new Map<string, number>();
    for (const topic of new Set(messages.map(({ topic }) => topic))) {
      partitions.set(topic, await this.#backend.ensureTopic(topic));
    }
    const keyless = this.#produced++;
    const now = Date.now();
    const placed = messages.map((message) => {
      const count = partitions.get(message.topic) ?? 1;
      const partition = partitionOf(message, count, keyless);
      if (partition >= count) throw unknownPartition(message.topic, partition);
      return { ...message, partition, timestamp: message.timestamp ?? now };
    });
    return await this.#backend.produce(placed);
  }

  /** Without an instance, positions can be committed only if the group has no member, as in Kafka. */
  async #commit(name: ConsumerName, positions: Parameters<Backend['commit']>[1]): Promise<void> {
    const instance = this.#consumers.find(name);
    if (instance !== undefined) return await instance.commit(positions);
    if (positions.length === 0) {
      throw new RequestError(
        404,
        `Group ${name.group} has no instance ${name.instance} here: it has not consumed, or has been idle for its session timeout. Consume again.`,
      );
    }
    await this.#backend.commit(name.group, positions);
  }

  #listConsumers(): {
    name: string;
    instances: { name: string; topics: { topic: string; partitions: number[] }[] }[];
  }[] {
    const groups = Map.groupBy(this.#consumers.list(), ({ name }) => name.group);
    return [...groups].map(([name, instances]) => ({
      name,
      instances: instances.map((instance) => ({
        name: instance.name.instance,
        topics: byTopic(instance.assignedPartitions()),
      })),
    }));
  }
}

function byTopic(partitions: readonly TopicPartition[]): { topic: string; partitions: number[] }[] {
  const topics = Map.groupBy(partitions, ({ topic }) => topic);
  return [...topics].map(([topic, own]) => ({
    topic,
    partitions: own.map(({ partition }) => partition).sort((a, b) => a - b),
  }));
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new RequestError(504, `There was no answer within ${ms} ms.`)), ms);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}
