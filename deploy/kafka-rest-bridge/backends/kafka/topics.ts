import type { Admin, ClusterTopicMetadata } from '@platformatic/kafka';
import { unknownPartition, unknownTopic } from '../../errors.ts';
import type { TopicPartition } from '../../messages.ts';
import { asking, hasKafkaCode } from './errors.ts';

/** How long the brokers may take to announce a created topic, and how often the bridge polls them. */
const CREATED_WITHIN_MS = 10_000;
const ASK_EVERY_MS = 50;

/** The metadata of the cluster's topics; the client library caches it for some seconds. */
export class Topics {
  readonly #admin: Admin;
  readonly #createPartitions: number | undefined;
  readonly #creating = new Map<string, Promise<number>>();

  constructor(admin: Admin, createPartitions: number | undefined) {
    this.#admin = admin;
    this.#createPartitions = createPartitions;
  }

  async all(): Promise<Map<string, number>> {
    const names = await asking(this.#admin.listTopics());
    if (names.length === 0) return new Map();
    const { topics } = await asking(this.#admin.metadata({ topics: names, forceUpdate: true }));
    return new Map(
      names.sort().flatMap((name) => {
        const topic = topics.get(name);
        return topic === undefined ? [] : [[name, topic.partitionsCount] as const];
      }),
    );
  }

  async find(name: string): Promise<ClusterTopicMetadata | undefined> {
    try {
      const { topics } = await this.#admin.metadata({ topics: [name], retries: 0 });
      const topic = topics.get(name);
      // A topic with a partition without a leader exists but is not usable yet.
      return topic?.partitions.every(({ leader }) => leader >= 0) === true ? topic : undefined;
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'PLT_KFK_USER') return undefined;
      if (hasKafkaCode(error, 'LEADER_NOT_AVAILABLE')) return undefined;
      return await asking(Promise.reject(error));
    }
  }

  /** The topic's metadata and that of the partition. Throws a RequestError of 404 if either is missing. */
  async partition({ topic: name, partition }: TopicPartition) {
    const topic = await this.find(name);
    if (topic === undefined) throw unknownTopic(name);
    const found = topic.partitions[partition];
    if (found === undefined) throw unknownPartition(name, partition);
    return { id: topic.id, ...found };
  }

  /** The number of the topic's partitions. Creates a missing topic if that is allowed. */
  async ensure(name: string): Promise<number> {
    const existing = await this.find(name);
    if (existing !== undefined) return existing.partitionsCount;
    if (this.#createPartitions === undefined) throw unknownTopic(name);
    let creating = this.#creating.get(name);
    if (creating === undefined) {
      creating = this.#create(name, this.#createPartitions).finally(() => this.#creating.delete(name));
      this.#creating.set(name, creating);
    }
    return await creating;
  }

  forget(): void {
    this.#admin.clearMetadata();
  }

  async #create(name: string, partitions: number): Promise<number> {
    try {
      await this.#admin.createTopics({ topics: [name], partitions, replicas: -1 });
    } catch (error) {
      if (!hasKafkaCode(error, 'TOPIC_ALREADY_EXISTS')) await asking(Promise.reject(error));
    }
    const deadline = performance.now() + CREATED_WITHIN_MS;
    for (;;) {
      const created = await this.find(name);
      if (created !== undefined) return created.partitionsCount;
      if (performance.now() > deadline) throw unknownTopic(name);
      await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
    }
  }
}
