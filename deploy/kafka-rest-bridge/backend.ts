import type { Message, OutgoingMessage, Placement, Position, TopicPartition } from './messages.ts';

export interface FetchLimits {
  /** How long to wait for the first message, in milliseconds. */
  waitMs: number;
  maxMessages: number;
  maxBytes: number;
}

export interface MemberOptions {
  group: string;
  instance: string;
  topics: readonly string[];
  sessionTimeoutMs: number;
}

export interface Assignment {
  /** Grows by one with each rebalance that the member takes part in. */
  generation: number;
  partitions: readonly TopicPartition[];
}

/** A member of a consumer group. It joins in the background and is assigned partitions when the group agrees. */
export interface GroupMember {
  /** What the member may read now; undefined while the group coordinates. Throws where joining has failed. */
  assignment(): Assignment | undefined;
  /** Settles when there is an assignment, joining has failed, the time is over or the signal aborts. */
  ready(waitMs: number, signal: AbortSignal): Promise<void>;
  commit(positions: readonly Position[]): Promise<void>;
  leave(): Promise<void>;
}

/** What the protocol needs of a Kafka: a cluster, or the log on this disk. All errors it expects are RequestErrors. */
export interface Backend {
  /** Topics and how many partitions each has. */
  topics(): Promise<Map<string, number>>;
  /** Creates the topic where the bridge may; else an unknown one is a RequestError of 404. Returns its partitions. */
  ensureTopic(topic: string): Promise<number>;
  /** Stores all messages, each of which names its partition, and answers in their order once they are durable. */
  produce(
    messages: readonly (OutgoingMessage & { partition: number; timestamp: number })[],
  ): Promise<Placement[]>;
  /** Messages from the positions on, the first of them first; nothing where none came in time. */
  fetch(positions: readonly Position[], limits: FetchLimits, signal: AbortSignal): Promise<Message[]>;
  /** Where each partition begins or ends, or its first offset at or after a time in milliseconds; -1 if there is none. */
  offsets(partitions: readonly TopicPartition[], at: 'earliest' | 'latest' | number): Promise<Position[]>;
  /** What the group has committed; -1 where it has not. */
  committed(group: string, partitions: readonly TopicPartition[]): Promise<Position[]>;
  /** A commit by nobody's instance, which a group with members refuses. */
  commit(group: string, positions: readonly Position[]): Promise<void>;
  join(options: MemberOptions): GroupMember;
  close(): Promise<void>;
}
