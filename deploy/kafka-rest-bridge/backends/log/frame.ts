import { crc32 } from 'node:zlib';
import { MESSAGE_BYTES_MAX } from '../../limits.ts';

/**
 * How a record lies on disk, big-endian:
 *
 *     u32 bytes of what follows · u32 CRC-32 of the length and the body ·
 *     body: i64 offset · i64 timestamp (ms) · key · value · u16 headers · (key · value)…
 *
 * where a key or value is an i32 length, -1 for none, and its bytes.
 */
export interface LogRecord {
  offset: number;
  timestamp: number;
  key: Uint8Array | null;
  value: Uint8Array | null;
  headers: readonly (readonly [Uint8Array, Uint8Array])[];
}

export type Decoded =
  | { state: 'record'; record: LogRecord; bytes: number }
  /** The buffer ends before the record does; `bytes` is the number of bytes that it needs. */
  | { state: 'short'; bytes: number }
  | { state: 'damaged' };

const LENGTH_BYTES = 4;
const CRC_BYTES = 4;
const PREFIX_BYTES = LENGTH_BYTES + CRC_BYTES;
const FIXED_BODY_BYTES = 8 + 8 + 4 + 4 + 2;
/** The limit of a message does not count the lengths of its headers, eight bytes each. */
export const FRAME_BYTES_MAX = MESSAGE_BYTES_MAX + 4_096;

export function frameBytes(record: Omit<LogRecord, 'offset'>): number {
  let bytes = PREFIX_BYTES + FIXED_BODY_BYTES + (record.key?.length ?? 0) + (record.value?.length ?? 0);
  for (const [key, value] of record.headers) bytes += 8 + key.length + value.length;
  return bytes;
}

/** Writes the record at `at`, where `frameBytes(record)` bytes are free, and returns the end position. */
export function encodeFrame(record: LogRecord, into: Buffer, at: number): number {
  let next = at + PREFIX_BYTES;
  next = into.writeBigInt64BE(BigInt(record.offset), next);
  next = into.writeBigInt64BE(BigInt(record.timestamp), next);
  const field = (bytes: Uint8Array | null) => {
    next = into.writeInt32BE(bytes === null ? -1 : bytes.length, next);
    if (bytes === null) return;
    into.set(bytes, next);
    next += bytes.length;
  };
  field(record.key);
  field(record.value);
  next = into.writeUInt16BE(record.headers.length, next);
  for (const [key, value] of record.headers) {
    field(key);
    field(value);
  }
  into.writeUInt32BE(next - at - LENGTH_BYTES, at);
  into.writeUInt32BE(checksum(into, at, next), at + LENGTH_BYTES);
  return next;
}

/** Reads the record at `at`. It never throws: invalid bytes are 'damaged', and an incomplete record is 'short'. */
export function decodeFrame(from: Buffer, at: number): Decoded {
  if (from.length - at < PREFIX_BYTES) return { state: 'short', bytes: PREFIX_BYTES };
  const bytes = from.readUInt32BE(at) + LENGTH_BYTES;
  if (bytes < PREFIX_BYTES + FIXED_BODY_BYTES || bytes > FRAME_BYTES_MAX) return { state: 'damaged' };
  if (from.length - at < bytes) return { state: 'short', bytes };
  const end = at + bytes;
  if (checksum(from, at, end) !== from.readUInt32BE(at + LENGTH_BYTES)) return { state: 'damaged' };
  const record = decodeBody(from, at + PREFIX_BYTES, end);
  return record === undefined ? { state: 'damaged' } : { state: 'record', record, bytes };
}

function decodeBody(from: Buffer, at: number, end: number): LogRecord | undefined {
  let next = at + 16;
  let fits = true;
  const field = (): Uint8Array | null => {
    const length = next + 4 <= end ? from.readInt32BE(next) : -2;
    next += 4;
    if (length === -1) return null;
    if (length < 0 || next + length > end) {
      fits = false;
      return null;
    }
    next += length;
    return from.subarray(next - length, next);
  };
  const key = field();
  const value = field();
  if (!fits || next + 2 > end) return undefined;
  const count = from.readUInt16BE(next);
  next += 2;
  const headers: [Uint8Array, Uint8Array][] = [];
  for (let i = 0; i < count && fits; i++) {
    const name = field();
    const content = field();
    if (name === null || content === null) fits = false;
    else headers.push([name, content]);
  }
  if (!fits || next !== end) return undefined;
  const offset = Number(from.readBigInt64BE(at));
  const timestamp = Number(from.readBigInt64BE(at + 8));
  return { offset, timestamp, key, value, headers };
}

/** Includes the length, so that a wrong length is detected. */
function checksum(bytes: Buffer, at: number, end: number): number {
  const length = crc32(bytes.subarray(at, at + LENGTH_BYTES));
  return crc32(bytes.subarray(at + PREFIX_BYTES, end), length);
}
