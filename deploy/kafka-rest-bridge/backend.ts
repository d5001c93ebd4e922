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
  /** Increases by one with each rebalance that the member takes part in. */
  generation: number;
  partitions: readonly TopicPartition[];
}

/** A member of a consumer group. It joins in the background and receives partitions when the group has agreed. */
export interface GroupMember {
  /**
   * The partitions that the member may read now; undefined while the group rebalances. Throws if joining has failed.
   */
  assignment(): Assignment | undefined;
  /** Settles when there is an assignment, joining has failed, the time has elapsed or the signal aborts. */
  ready(waitMs: number, signal: AbortSignal): Promise<void>;
  commit(positions: readonly Position[]): Promise<void>;
  leave(): Promise<void>;
}

/**
 * The operations that the protocol needs of a Kafka: a cluster, or the log on this disk. All expected errors are
 * RequestErrors.
 */
export interface Backend {
  /** The number of partitions of each topic. */
  topics(): Promise<Map<string, number>>;
  /**
   * Creates a missing topic if the bridge may, and otherwise throws a RequestError of 404. Returns the number of
   * partitions.
   */
  ensureTopic(topic: string): Promise<number>;
  /**
   * Stores all messages, each with its partition, and returns their placements in the same order once they are durable.
   */
  produce(
    messages: readonly (OutgoingMessage & { partition: number; timestamp: number })[],
  ): Promise<Placement[]>;
  /** Messages from the positions on, in the order of the positions; empty if none arrived in time. */
  fetch(positions: readonly Position[], limits: FetchLimits, signal: AbortSignal): Promise<Message[]>;
  /** Where each partition begins or ends, or its first offset at or after a time in milliseconds; -1 if there is none. */
  offsets(partitions: readonly TopicPartition[], at: 'earliest' | 'latest' | number): Promise<Position[]>;
  /** The committed offsets of the group; -1 for a partition without one. */
  committed(group: string, partitions: readonly TopicPartition[]): Promise<Position[]>;
  /** Commits without a member instance. A group with members refuses this. */
  commit(group: string, positions: readonly Position[]): Promise<void>;
  join(options: MemberOptions): GroupMember;
  close(): Promise<void>;
}
