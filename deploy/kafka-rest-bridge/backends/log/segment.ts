import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeFrame, FRAME_BYTES_MAX, type LogRecord } from './frame.ts';

/** The distance of the index's entries, in bytes: the most that a read scans before its first record. */
const INDEX_EVERY_BYTES = 32 * 1024;
/** The bytes of one read; a larger record is read whole. */
const CHUNK_BYTES = 128 * 1024;
const SCAN_BYTES = 1024 * 1024;
const NAME_DIGITS = 20;
const NAME_PATTERN = /^(\d{20})\.log$/;

/** A file of consecutive records, named after the offset of its first, with the metadata that is kept in memory. */
export interface Segment {
  readonly base: number;
  readonly path: string;
  /** The offset after its last record. */
  next: number;
  bytes: number;
  /** The greatest timestamp of its records, in milliseconds; -Infinity without records. */
  maxTimestamp: number;
  /** Offsets and their file positions, one for each stretch of `INDEX_EVERY_BYTES`. */
  readonly index: { offset: number; at: number }[];
}

export function segmentName(base: number): string {
  return `${String(base).padStart(NAME_DIGITS, '0')}.log`;
}

/** The offset in a segment's name, or undefined for other files. */
export function segmentBase(name: string): number | undefined {
  const digits = NAME_PATTERN.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

export function emptySegment(folder: string, base: number): Segment {
  const path = join(folder, segmentName(base));
  return { base, path, next: base, bytes: 0, maxTimestamp: Number.NEGATIVE_INFINITY, index: [] };
}

/** Updates the metadata for a record that was written at the end. */
export function noteRecord(
  segment: Segment,
  record: Pick<LogRecord, 'offset' | 'timestamp'>,
  bytes: number,
): void {
  const last = segment.index.at(-1);
  if (last === undefined || segment.bytes - last.at >= INDEX_EVERY_BYTES) {
    segment.index.push({ offset: record.offset, at: segment.bytes });
  }
  segment.next = record.offset + 1;
  segment.bytes += bytes;
  segment.maxTimestamp = Math.max(segment.maxTimestamp, record.timestamp);
}

/**
 * Reads a segment from its file up to the last valid record: each record is checked, and its offset must follow the
 * previous one. If `fileBytes` is greater than the segment's `bytes`, invalid bytes follow.
 */
export async function scanSegment(
  folder: string,
  base: number,
): Promise<{ segment: Segment; fileBytes: number }> {
  const segment = emptySegment(folder, base);
  const handle = await open(segment.path, 'r');
  try {
    const fileBytes = (await handle.stat()).size;
    for await (const { record, bytes } of frames(handle, 0, fileBytes, SCAN_BYTES)) {
      if (record.offset !== segment.next) break;
      noteRecord(segment, record, bytes);
    }
    return { segment, fileBytes };
  } finally {
    await handle.close();
  }
}

/** The records of the segment from an offset on, up to its end at the time of the call. */
export async function* readSegment(
  segment: Segment,
  from: number,
): AsyncGenerator<{ record: LogRecord; bytes: number }> {
  const end = segment.bytes;
  const handle = await open(segment.path, 'r');
  try {
    for await (const frame of frames(handle, positionBefore(segment, from), end, CHUNK_BYTES)) {
      if (frame.record.offset >= from) yield frame;
    }
  } finally {
    await handle.close();
  }
}

function positionBefore(segment: Segment, offset: number): number {
  let low = 0;
  let high = segment.index.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((segment.index[middle]?.offset ?? 0) <= offset) low = middle + 1;
    else high = middle;
  }
  return segment.index[low - 1]?.at ?? 0;
}

/** Decodes until the end or the first invalid record. */
async function* frames(handle: FileHandle, from: number, end: number, chunkBytes: number) {
  let at = from;
  let want = chunkBytes;
  while (at < end) {
    const buffer = Buffer.allocUnsafe(Math.min(want, end - at));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
    const chunk = buffer.subarray(0, bytesRead);
    let used = 0;
    let decoded = decodeFrame(chunk, used);
    while (decoded.state === 'record') {
      yield { record: decoded.record, bytes: decoded.bytes };
      used += decoded.bytes;
      decoded = decodeFrame(chunk, used);
    }
    at += used;
    if (decoded.state === 'damaged') return;
    // A record that continues beyond the chunk is read whole; one that continues beyond the file is torn.
    if (used === 0 && (bytesRead < buffer.length || at + decoded.bytes > end)) return;
    want = used === 0 ? Math.min(decoded.bytes, FRAME_BYTES_MAX) : chunkBytes;
    if (used === 0 && want <= bytesRead) return;
  }
}
