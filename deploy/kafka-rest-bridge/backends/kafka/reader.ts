import { Consumer, FetchIsolationLevels, type FetchOptions } from '@platformatic/kafka';
import type { FetchLimits } from '../../backend.ts';
import { OffsetOutOfRange } from '../../errors.ts';
import { ANSWER_BYTES_MAX } from '../../limits.ts';
import type { Header, Message, Position } from '../../messages.ts';
import { clientOptions, type KafkaOptions } from './connection.ts';
import { asking, hasKafkaCode } from './errors.ts';
import { type FetchResponse, readPartition } from './records.ts';
import type { Topics } from './topics.ts';

/**
 * The most concurrent fetches. A broker answers the requests of a connection in turn, so each fetch has its own
 * connections.
 */
const READERS_MAX = 64;
/** The longest time that one fetch waits at the broker, in milliseconds: an aborted request ends only after it. */
const BROKER_WAIT_MS_MAX = 500;
/** The same for a fetch from several brokers, which waits for all of them. */
const BROKERS_WAIT_MS_MAX = 100;
/**
 * The most bytes of a partition in one fetch. A broker sends whole batches, and an answer may take only their
 * beginning.
 */
const PARTITION_BYTES_MAX = 512 * 1024;
const OFFSET_OUT_OF_RANGE = 1;

/** The request to one broker: positions in the partitions that it leads, by the id of their topic. */
type Requested = Map<string, Position[]>;

/** Reads partitions from given offsets on, without a group. */
export class Readers {
  readonly #options: KafkaOptions;
  readonly #topics: Topics;
  readonly #all: Consumer[] = [];
  readonly #free: Consumer[] = [];
  readonly #waiting: ((reader: Consumer) => void)[] = [];

  constructor(options: KafkaOptions, topics: Topics) {
    this.#options = options;
    this.#topics = topics;
  }

  async fetch(positions: readonly Position[], limits: FetchLimits, signal: AbortSignal): Promise<Message[]> {
    const deadline = performance.now() + limits.waitMs;
    const cursors = positions.map((position) => ({ ...position }));
    for (;;) {
      const waitMs = Math.max(0, Math.min(deadline - performance.now(), BROKER_WAIT_MS_MAX));
      const before = cursors.map(({ offset }) => offset);
      const messages = await this.#fetchOnce(cursors, waitMs);
      if (messages.length > 0) return withinLimits(messages, limits);
      // If the fetch returned only hidden records, the next records may be available already.
      const hasMoved = cursors.some(({ offset }, i) => offset !== before[i]);
      if (signal.aborted || (waitMs === 0 && !hasMoved)) return [];
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#all.map((reader) => reader.close().catch(() => undefined)));
  }

  /** One fetch from each broker that leads some of the partitions. Moves the cursors past what was read. */
  async #fetchOnce(cursors: readonly Position[], waitMs: number): Promise<Message[]> {
    const brokers = new Map<number, Requested>();
    for (const cursor of cursors) {
      const { id, leader } = await this.#topics.partition(cursor);
      const requested: Requested = brokers.get(leader) ?? new Map();
      brokers.set(leader, requested);
      requested.set(id, [...(requested.get(id) ?? []), cursor]);
    }
    const maxWaitTime = Math.round(brokers.size > 1 ? Math.min(waitMs, BROKERS_WAIT_MS_MAX) : waitMs);
    const fetched = await Promise.all(
      [...brokers].map(async ([node, requested]) =>
        read(await this.#ask(node, requested, maxWaitTime), requested),
      ),
    );
    // The caller orders the cursors so that another partition is first each time.
    const byCursor = new Map(fetched.flat());
    return cursors.flatMap((cursor) => byCursor.get(cursor) ?? []);
  }

  async #ask(node: number, requested: Requested, maxWaitTime: number): Promise<FetchResponse> {
    const reader = await this.#acquire();
    try {
      return await reader.fetch({
        node,
        maxWaitTime,
        maxBytes: ANSWER_BYTES_MAX,
        topics: requestTopics(requested),
      });
    } catch (error) {
      this.#topics.forget();
      if (hasKafkaCode(error, 'OFFSET_OUT_OF_RANGE')) throw outOfRange(error, requested);
      return await asking(Promise.reject(error));
    } finally {
      this.#release(reader);
    }
  }

  async #acquire(): Promise<Consumer> {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#all.length >= READERS_MAX) return await new Promise((resolve) => this.#waiting.push(resolve));
    const reader = new Consumer({
      ...clientOptions(this.#options),
      // The library requires a group name for a consumer; this consumer never joins the group.
      groupId: 'kafka-rest-bridge',
      minBytes: 1,
      isolationLevel: FetchIsolationLevels.READ_COMMITTED,
    });
    reader.on('error', () => undefined);
    this.#all.push(reader);
    return reader;
  }

  #release(reader: Consumer): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(reader);
    else next(reader);
  }
}

function requestTopics(requested: Requested): FetchOptions<never, never, never, never>['topics'] {
  return [...requested].map(([topicId, cursors]) => ({
    topicId,
    partitions: cursors.map(({ partition, offset }) => ({
      partition,
      currentLeaderEpoch: -1,
      fetchOffset: BigInt(offset),
      lastFetchedEpoch: -1,
      partitionMaxBytes: PARTITION_BYTES_MAX,
    })),
  }));
}

function read(response: FetchResponse, requested: Requested): [Position, Message[]][] {
  return response.responses.flatMap(({ topicId, partitions }) =>
    partitions.flatMap((partition): [Position, Message[]][] => {
      const cursor = requested.get(topicId)?.find((one) => one.partition === partition.partitionIndex);
      if (cursor === undefined) return [];
      const { messages, next } = readPartition(cursor, partition);
      cursor.offset = next;
      return [[cursor, messages.map((message) => ({ ...message, topicId }))]];
    }),
  );
}

/** Truncates the messages to the limits in their order, and keeps at least one. */
function withinLimits(messages: readonly Message[], limits: FetchLimits): Message[] {
  let bytes = 0;
  let count = 0;
  for (const message of messages) {
    bytes += charactersOf(message);
    for (const header of message.headers) bytes += charactersOf(header);
    if (count > 0 && (bytes > limits.maxBytes || count >= limits.maxMessages)) break;
    count += 1;
  }
  return messages.slice(0, count);
}

function charactersOf({ key, value, keyBase64 = '', valueBase64 = '' }: Message | Header): number {
  return key.length + (value?.length ?? 0) + keyBase64.length + valueBase64.length;
}

/** The error's response names the partition. */
function outOfRange(error: unknown, requested: Requested): Error {
  for (const { topicId, partitions } of responseOf(error)?.responses ?? []) {
    const refused = partitions.find(({ errorCode }) => errorCode === OFFSET_OUT_OF_RANGE);
    const cursor = requested.get(topicId)?.find(({ partition }) => partition === refused?.partitionIndex);
    if (cursor !== undefined) return new OffsetOutOfRange(cursor);
  }
  return new Error('A broker found an offset out of range and did not say whose.', { cause: error });
}

function responseOf(error: unknown): FetchResponse | undefined {
  if (!(error instanceof Error)) return undefined;
  if ('response' in error) return error.response as FetchResponse;
  if (!(error instanceof AggregateError)) return undefined;
  for (const inner of error.errors) {
    const found = responseOf(inner);
    if (found !== undefined) return found;
  }
  return undefined;
}
