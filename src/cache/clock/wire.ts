import type { ClockParent, SyncAnswer, SyncRequest } from './mirror.ts';
import { SOURCES_MAX } from './sources.ts';
import { VarintReader, VarintWriter } from './varint.ts';

/**
 * The answer to a sync as one run of bytes, so that one that brings nothing costs a dozen of them:
 *
 *     flags            bit 0: the epoch follows; it is left out where it is the one that was asked about
 *     [epoch]          length in bytes, then ASCII
 *     seq
 *     age              0 for Infinity, else whole milliseconds + 1
 *     askAgainMs       whole milliseconds
 *     sources          how many; for each the length of its name in bytes, the name in UTF-8, its age
 *     delta            everything that is left (delta.ts)
 *
 * All numbers are variable-length integers (varint.ts). Times are rounded up: an age that looks greater than it
 * is costs a sync and never a promise.
 */

/** As in a token: a UUID has 36 characters. */
const EPOCH_BYTES_MAX = 64;
/** A source's name has at most 64 characters, which take at most three bytes each (four for two of them). */
const SOURCE_NAME_BYTES_MAX = 192;
const HAS_EPOCH = 1;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * @param askedEpoch the epoch in the request that is answered.
 * @throws RangeError for what no clock says: a negative time, an epoch or a name that is too long.
 */
export function encodeAnswer(answer: SyncAnswer, askedEpoch: string): Uint8Array<ArrayBuffer> {
  const out = new VarintWriter();
  const isKnown = answer.epoch === askedEpoch;
  out.varint(isKnown ? 0 : HAS_EPOCH);
  if (!isKnown) writeText(out, answer.epoch, EPOCH_BYTES_MAX);
  out.varint(answer.seq);
  out.varint(ageCode(answer.ageMs));
  out.varint(Math.ceil(answer.askAgainMs));
  const sources = Object.entries(answer.sources);
  if (sources.length > SOURCES_MAX) throw new RangeError(`${sources.length} sources are too many.`);
  out.varint(sources.length);
  for (const [name, ageMs] of sources) {
    writeText(out, name, SOURCE_NAME_BYTES_MAX);
    out.varint(ageCode(ageMs));
  }
  out.raw(answer.delta);
  return out.bytes();
}

/**
 * @param askedEpoch the epoch in the request that was answered.
 * @returns the answer; its delta is a view of `bytes` and is judged when it is applied.
 * @throws RangeError for bytes that are no answer.
 */
export function decodeAnswer(bytes: Uint8Array, askedEpoch: string): SyncAnswer {
  const from = new VarintReader(bytes);
  const flags = from.varint();
  if (flags > HAS_EPOCH) throw new RangeError(`${flags} are no flags of an answer.`);
  const epoch = flags === HAS_EPOCH ? readText(from, EPOCH_BYTES_MAX) : askedEpoch;
  const seq = from.varint();
  const ageMs = ageOf(from.varint());
  const askAgainMs = from.varint();
  const count = from.varint();
  if (count > SOURCES_MAX) throw new RangeError(`${count} sources are too many.`);
  const sources = new Map<string, number>();
  for (let index = 0; index < count; index += 1)
    sources.set(readText(from, SOURCE_NAME_BYTES_MAX), ageOf(from.varint()));
  if (sources.size < count) throw new RangeError('A source is named twice.');
  return { epoch, seq, ageMs, askAgainMs, sources: Object.fromEntries(sources), delta: from.rest() };
}

function ageCode(ageMs: number): number {
  return ageMs === Number.POSITIVE_INFINITY ? 0 : Math.ceil(ageMs) + 1;
}

function ageOf(code: number): number {
  return code === 0 ? Number.POSITIVE_INFINITY : code - 1;
}

function writeText(out: VarintWriter, text: string, bytesMax: number): void {
  const bytes = encoder.encode(text);
  if (bytes.length > bytesMax) throw new RangeError(`A text of ${bytes.length} bytes is too long.`);
  out.varint(bytes.length);
  out.raw(bytes);
}

function readText(from: VarintReader, bytesMax: number): string {
  const length = from.varint();
  if (length > bytesMax) throw new RangeError(`A text of ${length} bytes is too long.`);
  const bytes = from.raw(length);
  try {
    return decoder.decode(bytes);
  } catch (error) {
    throw new RangeError('A text is not in UTF-8.', { cause: error });
  }
}

/** A clock as another machine reaches it. */
export interface RemoteClock {
  sync(request: SyncRequest): Promise<Uint8Array>;
}

/** The clock behind a remote one. Bytes that are no answer are the failure of that sync. */
export function clockAt(remote: RemoteClock): ClockParent {
  return { sync: async (request) => decodeAnswer(await remote.sync(request), request.epoch) };
}
