import type { Assignment, Backend, GroupMember } from './backend.ts';
import { OffsetOutOfRange, RequestError } from './errors.ts';
import { ANSWER_BYTES_MAX, MESSAGES_PER_ANSWER_MAX } from './limits.ts';
import { type Message, type Position, partitionKey, type TopicPartition } from './messages.ts';
import type { ConsumerName, ConsumerSettings } from './protocol.ts';
import { waitForAny } from './wait.ts';

/** How often a waiting consume checks whether the group has been rebalanced, in milliseconds. */
const LOOK_AGAIN_MS = 500;

/**
 * Messages in delivery to a caller. Call exactly one of the two functions once the answer has been sent or has failed.
 */
export interface Delivery {
  messages: Message[];
  /** The caller has received the messages: the instance continues after them. */
  confirm(): void;
  /** The caller has disconnected: the messages are delivered again. */
  rollback(): void;
}

/**
 * A consumer instance between requests: its membership in the group, its position in each partition, and its timers.
 */
export class ConsumerInstance {
  readonly name: ConsumerName;
  readonly topics: readonly string[];
  readonly #settings: ConsumerSettings;
  readonly #backend: Backend;
  readonly #member: GroupMember;
  readonly #report: (line: string) => void;
  readonly #closing = new AbortController();
  /** For each assigned partition, the offset after the last delivered message, or the offset at which to begin. */
  #positions = new Map<string, Position>();
  /** The positions that are known to be committed. */
  readonly #committed = new Map<string, number>();
  #generation: number | undefined;
  /** Resolves when the latest requested consume has ended. */
  #turn: Promise<void> = Promise.resolve();
  /**
   * Resolves when the answer in delivery has been sent or has failed. A consume that still waits for messages does not
   * change it.
   */
  #delivering: Promise<void> = Promise.resolve();
  #first = 0;
  #requests = 0;
  #idleTimer: NodeJS.Timeout | undefined;
  readonly #commitTimer: NodeJS.Timeout | undefined;
  readonly #onIdle: () => void;

  constructor(options: {
    name: ConsumerName;
    topics: readonly string[];
    settings: ConsumerSettings;
    backend: Backend;
    report: (line: string) => void;
    onIdle: () => void;
  }) {
    const { name, topics, settings, backend } = options;
    this.name = name;
    this.topics = topics;
    this.#settings = settings;
    this.#backend = backend;
    this.#report = options.report;
    this.#onIdle = options.onIdle;
    this.#member = backend.join({ ...name, topics, sessionTimeoutMs: settings.sessionTimeoutMs });
    if (settings.autoCommit) {
      this.#commitTimer = setInterval(() => void this.#autoCommit(), settings.autoCommitIntervalMs);
    }
    this.#restIdle();
  }

  assignedPartitions(): readonly TopicPartition[] {
    try {
      return this.#member.assignment()?.partitions ?? [];
    } catch {
      return [];
    }
  }

  /** The next messages of the instance's partitions. Concurrent requests run one after the other. */
  async consume(waitMs: number, aborted: AbortSignal): Promise<Delivery> {
    const signal = AbortSignal.any([aborted, this.#closing.signal]);
    const deadline = performance.now() + waitMs;
    const settle = await this.#takeTurn();
    try {
      const messages = await this.#poll(deadline, signal);
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#delivering = promise;
      const rollback = () => {
        resolve();
        settle();
      };
      const confirm = () => {
        this.#advance(messages);
        rollback();
      };
      return { messages, confirm, rollback };
    } catch (error) {
      settle();
      throw error;
    }
  }

  /** Commits these positions, or those after the last delivered messages. */
  async commit(positions: readonly Position[]): Promise<void> {
    this.#requests += 1;
    try {
      // The caller may receive the answer of a consume before this process knows that it was sent.
      if (positions.length === 0) await this.#delivering;
      await this.#commit(positions.length === 0 ? this.#uncommitted() : positions);
    } finally {
      this.#requests -= 1;
      this.#restIdle();
    }
  }

  /** Runs the automatic commit, if it is enabled, and leaves the group. */
  async close(): Promise<void> {
    this.#closing.abort();
    clearTimeout(this.#idleTimer);
    clearInterval(this.#commitTimer);
    await this.#turn;
    if (this.#settings.autoCommit) await this.#autoCommit();
    await this.#member.leave();
  }

  async #takeTurn(): Promise<() => void> {
    this.#requests += 1;
    clearTimeout(this.#idleTimer);
    const before = this.#turn;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#turn = before.then(() => promise);
    await before;
    return () => {
      this.#requests -= 1;
      this.#restIdle();
      resolve();
    };
  }

  async #poll(deadline: number, signal: AbortSignal): Promise<Message[]> {
    await this.#member.ready(deadline - performance.now(), signal);
    for (;;) {
      if (signal.aborted) return [];
      const remainingMs = deadline - performance.now();
      const waitMs = Math.max(0, Math.min(remainingMs, LOOK_AGAIN_MS));
      const assignment = this.#member.assignment();
      const partitions = assignment?.partitions ?? [];
      let messages: Message[] = [];
      if (assignment === undefined || partitions.length === 0) await waitForAny([], waitMs, signal);
      else messages = await this.#fetch(assignment, waitMs, signal);
      if (messages.length > 0 || remainingMs <= 0) return messages;
    }
  }

  async #fetch(assignment: Assignment, waitMs: number, signal: AbortSignal): Promise<Message[]> {
    await this.#follow(assignment);
    const all = [...this.#positions.values()];
    // Another partition is first each time, so that a full partition does not starve the others.
    this.#first = (this.#first + 1) % Math.max(1, all.length);
    const rotated = [...all.slice(this.#first), ...all.slice(0, this.#first)];
    const limits = { waitMs, maxMessages: MESSAGES_PER_ANSWER_MAX, maxBytes: ANSWER_BYTES_MAX };
    try {
      const messages = await this.#backend.fetch(rotated, limits, signal);
      // If the group has been rebalanced during the fetch, another instance may own the messages, so they are dropped.
      return this.#member.assignment()?.generation === assignment.generation ? messages : [];
    } catch (error) {
      if (!(error instanceof OffsetOutOfRange)) throw error;
      await this.#reset([{ topic: error.topic, partition: error.partition }]);
      return [];
    }
  }

  /** Applies an assignment: finds the start of new partitions, and drops the positions of lost ones. */
  async #follow({ generation, partitions }: Assignment): Promise<void> {
    if (generation === this.#generation) return;
    // Across more than one rebalance, another instance may have owned a partition and committed later offsets.
    const kept =
      this.#generation !== undefined && generation === this.#generation + 1 ? this.#positions : new Map();
    const missing = partitions.filter((partition) => !kept.has(partitionKey(partition)));
    const committed = await this.#backend.committed(this.name.group, missing);
    const positions = new Map<string, Position>();
    for (const partition of partitions) {
      const position = kept.get(partitionKey(partition));
      if (position !== undefined) positions.set(partitionKey(partition), position);
    }
    this.#positions = positions;
    const begun = committed.filter(({ offset }) => offset >= 0);
    for (const position of begun) {
      this.#positions.set(partitionKey(position), position);
      this.#committed.set(partitionKey(position), position.offset);
    }
    await this.#reset(committed.filter(({ offset }) => offset < 0));
    this.#generation = generation;
  }

  async #reset(partitions: readonly TopicPartition[]): Promise<void> {
    const [first] = partitions;
    if (first === undefined) return;
    const policy = this.#settings.autoOffsetReset;
    if (policy === 'none') {
      const { topic, partition } = first;
      throw new RequestError(
        409,
        `Group ${this.name.group} has no offset to go on from in partition ${partition} of topic ${topic}, and Kafka-Auto-Offset-Reset is none.`,
      );
    }
    for (const position of await this.#backend.offsets(partitions, policy)) {
      this.#positions.set(partitionKey(position), position);
    }
  }

  #advance(messages: readonly Message[]): void {
    for (const { topic, partition, offset } of messages) {
      const key = partitionKey({ topic, partition });
      if (this.#positions.has(key)) this.#positions.set(key, { topic, partition, offset: offset + 1 });
    }
  }

  #uncommitted(): Position[] {
    return [...this.#positions].flatMap(([key, position]) =>
      this.#committed.get(key) === position.offset ? [] : [position],
    );
  }

  async #commit(positions: readonly Position[]): Promise<void> {
    if (positions.length === 0) return;
    await this.#member.commit(positions);
    for (const position of positions) this.#committed.set(partitionKey(position), position.offset);
  }

  /** A failed commit is retried at the next interval. A crash before that would deliver the messages again. */
  async #autoCommit(): Promise<void> {
    const { group, instance } = this.name;
    await this.#commit(this.#uncommitted()).catch((error: unknown) => {
      this.#report(`${group}/${instance}: auto-commit failed: ${String(error)}`);
    });
  }

  #restIdle(): void {
    clearTimeout(this.#idleTimer);
    if (this.#requests > 0 || this.#closing.signal.aborted) return;
    this.#idleTimer = setTimeout(this.#onIdle, this.#settings.sessionTimeoutMs);
  }
}
