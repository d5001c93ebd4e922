import { type FileHandle, open, readdir, unlink, writeFile } from 'node:fs/promises';
import { RequestError } from '../../errors.ts';
import { syncFolder } from './files.ts';
import { encodeFrame, frameBytes, type LogRecord } from './frame.ts';
import { emptySegment, noteRecord, readSegment, type Segment, scanSegment, segmentBase } from './segment.ts';

export type NewRecord = Omit<LogRecord, 'offset'>;

export interface PartitionOptions {
  /** A segment is closed when it has this many bytes. */
  segmentBytes: number;
  /** Closed segments are removed, oldest first, while the partition has more bytes than this. */
  retentionBytes: number;
  /** Closed segments whose newest record is older than this, in milliseconds, are removed. */
  retentionMs: number;
}

/** Bytes that are written and synced at once: requests that wait for the disk together share a sync. */
const BATCH_BYTES_MAX = 8 * 1024 * 1024;

interface Pending {
  records: readonly NewRecord[];
  bytes: number;
  resolve: (baseOffset: number) => void;
  reject: (error: unknown) => void;
}

/**
 * A partition: records in consecutive offsets, in segments of which only the last is written. An append is answered
 * after fdatasync, and readers see no record before. One process at a time may have it open.
 */
export class PartitionLog {
  readonly folder: string;
  readonly #options: PartitionOptions;
  readonly #segments: Segment[];
  #writer: FileHandle | undefined;
  #pending: Pending[] = [];
  #writing: Promise<void> | undefined;
  /** Set when the file may hold bytes that nobody was promised: nothing may be written after them. */
  #failure: RequestError | undefined;
  #closed = false;
  readonly #waiting = new Set<() => void>();

  private constructor(folder: string, segments: Segment[], options: PartitionOptions) {
    this.folder = folder;
    this.#segments = segments;
    this.#options = options;
  }

  /**
   * Opens what is in the folder. What comes after the last whole record of the last segment is the torn tail of a
   * write that no one was answered: it is kept beside the segment and cut off. Damage anywhere else is refused.
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

  /** Appends the records one after the other and returns the offset of the first, once all are on disk. */
  append(records: readonly NewRecord[]): Promise<number> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#closed) return Promise.reject(new RequestError(503, 'The log is closed.'));
    const bytes = records.reduce((sum, record) => sum + frameBytes(record), 0);
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.#pending.push({ records, bytes, resolve, reject });
    this.#occupy(() => this.#write());
    return promise;
  }

  /** The records from an offset on, up to the end as it is now. */
  async *read(from: number): AsyncGenerator<{ record: LogRecord; bytes: number }> {
    for (const segment of [...this.#segments]) {
      if (segment.next > from) yield* readSegment(segment, from);
    }
  }

  /** The first offset whose record is of this time or later, in milliseconds. */
  async offsetAt(timestamp: number): Promise<number | undefined> {
    for (const segment of [...this.#segments]) {
      if (segment.maxTimestamp < timestamp) continue;
      for await (const { record } of readSegment(segment, segment.base)) {
        if (record.timestamp >= timestamp) return record.offset;
      }
    }
    return undefined;
  }

  /** Calls back once, after the next append; returns how to take that back. */
  onAppend(callback: () => void): () => void {
    this.#waiting.add(callback);
    return () => this.#waiting.delete(callback);
  }

  /** Removes what is too old or too much. The segment that is written stays, unless all in it is too old. */
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

  /** Takes what is being written to its end, and nothing more. */
  async close(): Promise<void> {
    this.#closed = true;
    while (this.#writing !== undefined) await this.#writing;
    await this.#writer?.close();
    this.#writer = undefined;
  }

  /** Does this unless the segments are being worked on already, and then what was asked for meanwhile. */
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
      // Without this the next batch could leave a part of this one behind it.
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

/** A write may take less than it is given, for instance on a full disk. */
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
