import { type FileHandle, open, readdir, unlink, writeFile } from 'node:fs/promises';
import { RequestError } from '../../errors.ts';
import { syncFolder } from './files.ts';
import { encodeFrame, frameBytes, type LogRecord } from './frame.ts';
import { emptySegment, noteRecord, readSegment, type Segment, scanSegment, segmentBase } from './segment.ts';

export type NewRecord = Omit<LogRecord, 'offset'>;

export interface PartitionOptions {
  /** The size at which a segment is closed. */
  segmentBytes: number;
  /** While the partition has more bytes than this, closed segments are removed, oldest first. */
  retentionBytes: number;
  /** Closed segments whose newest record is older than this, in milliseconds, are removed. */
  retentionMs: number;
}

/** The most bytes that are written and synced at once. Appends that wait at the same time share a sync. */
const BATCH_BYTES_MAX = 8 * 1024 * 1024;

interface Pending {
  records: readonly NewRecord[];
  bytes: number;
  resolve: (baseOffset: number) => void;
  reject: (error: unknown) => void;
}

/**
 * A partition: records at consecutive offsets, in segments of which only the last is written. An append resolves after
 * fdatasync, and readers see no record before. Only one process may have it open.
 */
export class PartitionLog {
  readonly folder: string;
  readonly #options: PartitionOptions;
  readonly #segments: Segment[];
  #writer: FileHandle | undefined;
  #pending: Pending[] = [];
  #writing: Promise<void> | undefined;
  /** Set if the file may hold bytes of a failed append. Nothing may be written after them. */
  #failure: RequestError | undefined;
  #closed = false;
  readonly #waiting = new Set<() => void>();

  private constructor(folder: string, segments: Segment[], options: PartitionOptions) {
    this.folder = folder;
    this.#segments = segments;
    this.#options = options;
  }

  /**
   * Opens the partition in the folder. Bytes after the last whole record of the last segment are the torn tail of an
   * unacknowledged write: they are copied beside the segment and cut off. Damage anywhere else is an error.
   */
  static async open(
    folder: string,
    options: PartitionOptions,
  ): Promise<{ log: PartitionLog; cutBytes: number }> {
    const bases = (await readdir(folder)).flatMap((name) => segmentBase(name) ?? []).sort((a, b) => a - b);
    const segments: Segment[] = [];
    let cutBytes = 0;
    for (const [i, base] of bases.entries()) {
      const expected = segments.at(-1)?.next ?? base;
      const { segment, fileBytes } = await scanSegment(folder, base);
      const isLast = i === bases.length - 1;
      if (base !== expected || (!isLast && fileBytes > segment.bytes)) {
        throw new Error(
          `${segment.path} is damaged at byte ${segment.bytes}: its records do not follow each other.`,
        );
      }
      if (fileBytes > segment.bytes) cutBytes = await cutTail(segment, fileBytes);
      segments.push(segment);
    }
    if (segments.length === 0) segments.push(await createSegment(folder, 0));
    return { log: new PartitionLog(folder, segments, options), cutBytes };
  }

  get start(): number {
    return this.#segments[0]?.base ?? 0;
  }

  /** The offset of the next record. */
  get end(): number {
    return this.#active.next;
  }

  get bytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.bytes, 0);
  }

  get #active(): Segment {
    const active = this.#segments.at(-1);
    if (active === undefined) throw new Error('A partition has a segment.');
    return active;
  }

  /** Appends the records in order and returns the offset of the first, once all are on disk. */
  append(records: readonly NewRecord[]): Promise<number> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#closed) return Promise.reject(new RequestError(503, 'The log is closed.'));
    const bytes = records.reduce((sum, record) => sum + frameBytes(record), 0);
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.#pending.push({ records, bytes, resolve, reject });
    this.#occupy(() => this.#write());
    return promise;
  }

  /** The records from an offset up to the current end. */
  async *read(from: number): AsyncGenerator<{ record: LogRecord; bytes: number }> {
    for (const segment of [...this.#segments]) {
      if (segment.next > from) yield* readSegment(segment, from);
    }
  }

  /** The first offset whose record has this timestamp or a later one, in milliseconds. */
  async offsetAt(timestamp: number): Promise<number | undefined> {
    for (const segment of [...this.#segments]) {
      if (segment.maxTimestamp < timestamp) continue;
      for await (const { record } of readSegment(segment, segment.base)) {
        if (record.timestamp >= timestamp) return record.offset;
      }
    }
    return undefined;
  }

  /** Calls back once, after the next append; returns a function that cancels the callback. */
  onAppend(callback: () => void): () => void {
    this.#waiting.add(callback);
    return () => this.#waiting.delete(callback);
  }

  /**
   * Removes segments beyond the retention's age or size. The segment that is written stays, unless all its records are
   * too old.
   */
  async retain(now: number): Promise<void> {
    const oldest = now - this.#options.retentionMs;
    if (this.#active.bytes > 0 && this.#active.maxTimestamp < oldest) {
      this.#occupy(() => this.#roll());
      await this.#writing;
    }
    let bytes = this.bytes;
    while (this.#segments.length > 1) {
      const [first] = this.#segments;
      if (first === undefined || (first.maxTimestamp >= oldest && bytes <= this.#options.retentionBytes))
        break;
      this.#segments.shift();
      bytes -= first.bytes;
      await unlink(first.path);
    }
  }

  /** Writes the pending appends, refuses new ones, and closes the file. */
  async close(): Promise<void> {
    this.#closed = true;
    while (this.#writing !== undefined) await this.#writing;
    await this.#writer?.close();
    this.#writer = undefined;
  }

  /** Runs the work, unless other work is running. Afterwards it writes the appends that arrived in the meantime. */
  #occupy(work: () => Promise<void>): void {
    this.#writing ??= work().finally(() => {
      this.#writing = undefined;
      if (this.#pending.length > 0) this.#occupy(() => this.#write());
    });
  }

  async #write(): Promise<void> {
    while (this.#pending.length > 0) {
      const batch: Pending[] = [];
      let bytes = 0;
      for (let next = this.#pending[0]; next !== undefined; next = this.#pending[0]) {
        if (batch.length > 0 && bytes + next.bytes > BATCH_BYTES_MAX) break;
        batch.push(next);
        bytes += next.bytes;
        this.#pending.shift();
      }
      try {
        if (this.#failure !== undefined) throw this.#failure;
        const offsets = await this.#writeBatch(batch, bytes);
        for (const [i, { resolve }] of batch.entries()) resolve(offsets[i] ?? 0);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
  }

  async #writeBatch(batch: readonly Pending[], bytes: number): Promise<number[]> {
    if (this.#active.bytes > 0 && this.#active.bytes + bytes > this.#options.segmentBytes) await this.#roll();
    const segment = this.#active;
    this.#writer ??= await open(segment.path, 'r+');
    const buffer = Buffer.allocUnsafe(bytes);
    const written: { offset: number; timestamp: number; bytes: number }[] = [];
    const offsets: number[] = [];
    let offset = segment.next;
    let at = 0;
    for (const { records } of batch) {
      offsets.push(offset);
      for (const record of records) {
        const end = encodeFrame({ ...record, offset }, buffer, at);
        written.push({ offset, timestamp: record.timestamp, bytes: end - at });
        at = end;
        offset += 1;
      }
    }
    await this.#writeDurably(this.#writer, segment, buffer);
    for (const record of written) noteRecord(segment, record, record.bytes);
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const callback of waiting) callback();
    return offsets;
  }

  async #writeDurably(writer: FileHandle, segment: Segment, buffer: Buffer): Promise<void> {
    try {
      await writeAll(writer, buffer, segment.bytes);
      await writer.datasync();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const failure = new RequestError(503, `The log cannot be written: ${reason}`);
      // Removes the failed batch, because the next batch would otherwise follow a part of it.
      await writer.truncate(segment.bytes).catch(() => {
        this.#failure = failure;
      });
      throw failure;
    }
  }

  async #roll(): Promise<void> {
    const next = await createSegment(this.folder, this.#active.next);
    await this.#writer?.close();
    this.#writer = undefined;
    this.#segments.push(next);
  }
}

/** One write call may write only a part of the buffer, for instance on a full disk. */
async function writeAll(writer: FileHandle, buffer: Buffer, at: number): Promise<void> {
  let done = 0;
  while (done < buffer.length) {
    const { bytesWritten } = await writer.write(buffer, done, buffer.length - done, at + done);
    done += bytesWritten;
  }
}

async function createSegment(folder: string, base: number): Promise<Segment> {
  const segment = emptySegment(folder, base);
  await (await open(segment.path, 'w')).close();
  await syncFolder(folder);
  return segment;
}

async function cutTail(segment: Segment, fileBytes: number): Promise<number> {
  const handle = await open(segment.path, 'r+');
  try {
    const tail = Buffer.alloc(fileBytes - segment.bytes);
    await handle.read(tail, 0, tail.length, segment.bytes);
    await writeFile(`${segment.path}.cut`, tail);
    await handle.truncate(segment.bytes);
    await handle.sync();
    return tail.length;
  } finally {
    await handle.close();
  }
}
