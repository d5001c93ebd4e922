import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RequestError, unknownPartition, unknownTopic } from '../../errors.ts';
import type { TopicPartition } from '../../messages.ts';
import { replaceFile, syncFolder } from './files.ts';
import { PartitionLog, type PartitionOptions } from './partition.ts';

const TOPIC_FILE = 'topic.json';
/** The most partitions of all topics together. Each has an open file and its index in memory. */
const PARTITIONS_MAX = 3_000;

/** All topics on this disk: a folder for each, with its number of partitions and a folder for each partition. */
export class LogStore {
  readonly #folder: string;
  readonly #options: PartitionOptions;
  readonly #topics = new Map<string, PartitionLog[]>();
  readonly #creating = new Map<string, Promise<PartitionLog[]>>();

  private constructor(folder: string, options: PartitionOptions) {
    this.#folder = folder;
    this.#options = options;
  }

  /** Opens every partition and checks every record; `report` receives a line for each torn tail that was cut off. */
  static async open(
    folder: string,
    options: PartitionOptions,
    report: (line: string) => void,
  ): Promise<LogStore> {
    await mkdir(folder, { recursive: true });
    const store = new LogStore(folder, options);
    for (const topic of await readdir(folder)) {
      const partitions = await readTopicFile(join(folder, topic, TOPIC_FILE));
      // A folder without the file belongs to a topic whose creation was interrupted before it was acknowledged.
      if (partitions === undefined) continue;
      const logs: PartitionLog[] = [];
      for (let partition = 0; partition < partitions; partition++) {
        const opened = await PartitionLog.open(join(folder, topic, String(partition)), options);
        if (opened.cutBytes > 0) {
          report(`${topic}/${partition}: cut ${opened.cutBytes} bytes of an unfinished write`);
        }
        logs.push(opened.log);
      }
      store.#topics.set(topic, logs);
    }
    return store;
  }

  get topics(): Map<string, number> {
    return new Map([...this.#topics].map(([topic, logs]) => [topic, logs.length]));
  }

  get bytes(): number {
    let bytes = 0;
    for (const logs of this.#topics.values()) for (const log of logs) bytes += log.bytes;
    return bytes;
  }

  partition({ topic, partition }: TopicPartition): PartitionLog {
    const logs = this.#topics.get(topic);
    if (logs === undefined) throw unknownTopic(topic);
    const log = logs[partition];
    if (log === undefined) throw unknownPartition(topic, partition);
    return log;
  }

  async create(topic: string, partitions: number): Promise<void> {
    if (this.#topics.has(topic)) return;
    let creating = this.#creating.get(topic);
    if (creating === undefined) {
      creating = this.#create(topic, partitions).finally(() => this.#creating.delete(topic));
      this.#creating.set(topic, creating);
    }
    this.#topics.set(topic, await creating);
  }

  async retain(now: number): Promise<void> {
    for (const logs of this.#topics.values()) for (const log of logs) await log.retain(now);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#topics.values()].flat().map((log) => log.close()));
  }

  /** A topic exists once its file does. A crash before that leaves a folder that is ignored. */
  async #create(topic: string, partitions: number): Promise<PartitionLog[]> {
    const existing = [...this.#topics.values()].reduce((sum, logs) => sum + logs.length, 0);
    if (existing + partitions > PARTITIONS_MAX) {
      throw new RequestError(
        507,
        `The log holds ${PARTITIONS_MAX} partitions at most; topic ${topic} is one too many.`,
      );
    }
    const folder = join(this.#folder, topic);
    const logs: PartitionLog[] = [];
    for (let partition = 0; partition < partitions; partition++) {
      const own = join(folder, String(partition));
      await mkdir(own, { recursive: true });
      logs.push((await PartitionLog.open(own, this.#options)).log);
    }
    await replaceFile(join(folder, TOPIC_FILE), `${JSON.stringify({ partitions })}\n`);
    await syncFolder(this.#folder);
    return logs;
  }
}

async function readTopicFile(path: string): Promise<number | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR'))
      return undefined;
    throw error;
  }
  const { partitions } = JSON.parse(text) as { partitions?: unknown };
  if (typeof partitions !== 'number' || !Number.isInteger(partitions) || partitions < 1) {
    throw new Error(`${path} does not say how many partitions the topic has.`);
  }
  return partitions;
}
