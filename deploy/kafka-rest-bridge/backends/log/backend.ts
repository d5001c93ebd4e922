import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Backend, FetchLimits, GroupMember, MemberOptions } from '../../backend.ts';
import { OffsetOutOfRange, RequestError } from '../../errors.ts';
import type { Message, OutgoingMessage, Placement, Position, TopicPartition } from '../../messages.ts';
import { messageOf } from '../../received.ts';
import { waitForAny } from '../../wait.ts';
import { Groups } from './groups.ts';
import { lockFolder } from './lock.ts';
import { CommittedOffsets } from './offsets.ts';
import type { NewRecord } from './partition.ts';
import { LogStore } from './store.ts';

export interface LogOptions {
  /** The folder of all data. It is created if it is missing, and locked against a second bridge. */
  folder: string;
  /** The number of partitions of a created topic. */
  partitions: number;
  segmentBytes: number;
  /** The limit of one partition. */
  retentionBytes: number;
  retentionMs: number;
  /** The limit of all partitions together. Beyond it, produce requests are refused. */
  totalBytes: number;
}

const MB = 1024 * 1024;
export const LOG_DEFAULTS: Omit<LogOptions, 'folder'> = {
  partitions: 3,
  segmentBytes: 16 * MB,
  retentionBytes: 256 * MB,
  retentionMs: 7 * 24 * 3_600_000,
  totalBytes: 8 * 1024 * MB,
};
/** How often old segments are searched for. */
const RETAIN_EVERY_MS = 30_000;

const encoder = new TextEncoder();

/** A Kafka in one process: topics, consumer groups and their offsets on this disk. */
export class LogBackend implements Backend {
  readonly #options: LogOptions;
  readonly #store: LogStore;
  readonly #offsets: CommittedOffsets;
  readonly #groups: Groups;
  readonly #unlock: () => Promise<void>;
  readonly #retention: NodeJS.Timeout;

  private constructor(
    options: LogOptions,
    parts: {
      store: LogStore;
      offsets: CommittedOffsets;
      unlock: () => Promise<void>;
      report: (line: string) => void;
    },
  ) {
    this.#options = options;
    this.#store = parts.store;
    this.#offsets = parts.offsets;
    this.#unlock = parts.unlock;
    this.#groups = new Groups(
      () => this.#store.topics,
      (group, positions) => this.#commitChecked(group, positions),
    );
    const retain = () =>
      this.#store.retain(Date.now()).catch((error: unknown) => parts.report(`retention: ${String(error)}`));
    // Runs at once, too: a bridge that restarts more often than the interval would never reach it.
    void retain();
    this.#retention = setInterval(retain, RETAIN_EVERY_MS);
    this.#retention.unref();
  }

  static async open(options: LogOptions, report: (line: string) => void): Promise<LogBackend> {
    await mkdir(options.folder, { recursive: true });
    const unlock = await lockFolder(options.folder);
    try {
      const store = await LogStore.open(join(options.folder, 'topics'), options, report);
      const offsets = await CommittedOffsets.open(join(options.folder, 'groups'));
      return new LogBackend(options, { store, offsets, unlock, report });
    } catch (error) {
      await unlock();
      throw error;
    }
  }

  async topics(): Promise<Map<string, number>> {
    return this.#store.topics;
  }

  async ensureTopic(topic: string): Promise<number> {
    const existing = this.#store.topics.get(topic);
    if (existing !== undefined) return existing;
    await this.#store.create(topic, this.#options.partitions);
    this.#groups.topicCreated(topic);
    return this.#store.topics.get(topic) ?? this.#options.partitions;
  }

  async produce(
    messages: readonly (OutgoingMessage & { partition: number; timestamp: number })[],
  ): Promise<Placement[]> {
    if (this.#store.bytes > this.#options.totalBytes) {
      throw new RequestError(
        507,
        `The log has its ${this.#options.totalBytes} bytes; wait for retention to free some.`,
      );
    }
    const byPartition = Map.groupBy(messages, (message) => this.#store.partition(message));
    const placements = new Map<object, Placement>();
    const appended = [...byPartition].map(async ([log, own]) => {
      const base = await log.append(own.map(toRecord));
      for (const [i, message] of own.entries()) {
        const { topic, partition, timestamp } = message;
        placements.set(message, { topic, partition, offset: base + i, timestamp });
      }
    });
    for (const result of await Promise.allSettled(appended))
      if (result.status === 'rejected') throw result.reason;
    return messages.flatMap((message) => placements.get(message) ?? []);
  }

  async fetch(positions: readonly Position[], limits: FetchLimits, signal: AbortSignal): Promise<Message[]> {
    const wanted = positions.map((position) => ({ position, log: this.#store.partition(position) }));
    for (const { position, log } of wanted) {
      if (position.offset < log.start || position.offset > log.end) throw new OffsetOutOfRange(position, log);
    }
    if (wanted.every(({ position, log }) => log.end === position.offset)) {
      await waitForAny(
        wanted.map(
          ({ log }) =>
            (wake) =>
              log.onAppend(wake),
        ),
        limits.waitMs,
        signal,
      );
    }
    const messages: Message[] = [];
    let bytes = 0;
    for (const { position, log } of wanted) {
      if (log.end <= position.offset) continue;
      for await (const frame of log.read(position.offset)) {
        const isFull = messages.length >= limits.maxMessages || bytes + frame.bytes > limits.maxBytes;
        if (messages.length > 0 && isFull) return messages;
        const { topic, partition } = position;
        const { offset, timestamp } = frame.record;
        messages.push(messageOf({ topic, partition, offset, timestamp }, frame.record));
        bytes += frame.bytes;
      }
    }
    return messages;
  }

  async offsets(
    partitions: readonly TopicPartition[],
    at: 'earliest' | 'latest' | number,
  ): Promise<Position[]> {
    return await Promise.all(
      partitions.map(async ({ topic, partition }) => {
        const log = this.#store.partition({ topic, partition });
        if (at === 'earliest') return { topic, partition, offset: log.start };
        if (at === 'latest') return { topic, partition, offset: log.end };
        return { topic, partition, offset: (await log.offsetAt(at)) ?? -1 };
      }),
    );
  }

  async committed(group: string, partitions: readonly TopicPartition[]): Promise<Position[]> {
    return partitions.map(({ topic, partition }) => {
      this.#store.partition({ topic, partition });
      return { topic, partition, offset: this.#offsets.get(group, { topic, partition }) ?? -1 };
    });
  }

  async commit(group: string, positions: readonly Position[]): Promise<void> {
    if (this.#groups.hasMembers(group)) {
      throw new RequestError(409, `Consumer group ${group} has members: only they may commit.`);
    }
    await this.#commitChecked(group, positions);
  }

  join(options: MemberOptions): GroupMember {
    return this.#groups.join(options);
  }

  async close(): Promise<void> {
    clearInterval(this.#retention);
    await this.#store.close();
    await this.#offsets.close();
    await this.#unlock();
  }

  async #commitChecked(group: string, positions: readonly Position[]): Promise<void> {
    for (const position of positions) this.#store.partition(position);
    await this.#offsets.commit(group, positions);
  }
}

function toRecord(message: OutgoingMessage & { timestamp: number }): NewRecord {
  return {
    timestamp: message.timestamp,
    key: message.key === null ? null : encoder.encode(message.key),
    value: message.value === null ? null : encoder.encode(message.value),
    headers: message.headers.map(({ key, value }) => [encoder.encode(key), encoder.encode(value)] as const),
  };
}
