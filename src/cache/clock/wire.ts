import { type PhaseMark, phaseCode, statesOfCode } from '../../platform/phases.ts';
import { decodeUtf8 } from '../../platform/utf8.ts';
import type { ClockParent, SyncAnswer, SyncRequest } from './mirror.ts';
import { SOURCES_MAX } from './sources.ts';
import { VarintReader, VarintWriter } from './varint.ts';

/**
 * The answer to a sync as packed bytes. An answer without changes takes about twenty bytes:
 *
 *     flags            bit 0: the epoch follows; it is left out if it equals the epoch of the request
 *                      bit 1: always set. Without it, the answer is of an earlier format, with slots for tags
 *                      bit 2: the states of the phases follow the sources
 *     [epoch]          length in bytes, then ASCII
 *     seq
 *     seq - sinceSeq
 *     sinceSeq - floorSeq
 *     age              0 for Infinity, else whole milliseconds + 1
 *     askAgainMs       whole milliseconds
 *     sources          their number; for each the length of its name in bytes, the name in UTF-8, its age
 *     [phases]         the number of their states, and of the invalidation that came with them (phases.ts)
 *     changes          the rest (delta.ts)
 *
 * All numbers are variable-length integers (varint.ts). Times are rounded up: an age that is too high costs a sync
 * and breaks no promise.
 */

/** As in a token. A UUID has 36 characters. */
const EPOCH_BYTES_MAX = 64;
/** A source's name has at most 64 UTF-16 units, each of which takes at most three bytes in UTF-8. */
const SOURCE_NAME_BYTES_MAX = 192;
const HAS_EPOCH = 1;
const HAS_TAGS = 2;
const HAS_PHASES = 4;

const encoder = new TextEncoder();

/**
 * @param askedEpoch the epoch of the request.
 * @param takesPhases whether the asking mirror understands the states of phases; one of an earlier release does not.
 * @throws RangeError for a negative time, or an epoch or a name that is too long.
 */
export function encodeAnswer(
  answer: SyncAnswer,
  askedEpoch: string,
  takesPhases = false,
): Uint8Array<ArrayBuffer> {
  const out = new VarintWriter();
  const isKnown = answer.epoch === askedEpoch;
  const phases = takesPhases ? answer.phases : undefined;
  out.varint(HAS_TAGS | (isKnown ? 0 : HAS_EPOCH) | (phases === undefined ? 0 : HAS_PHASES));
  if (!isKnown) writeText(out, answer.epoch, EPOCH_BYTES_MAX);
  out.varint(answer.seq);
  out.varint(answer.seq - answer.sinceSeq);
  out.varint(answer.sinceSeq - answer.floorSeq);
  out.varint(ageCode(answer.ageMs));
  out.varint(Math.ceil(answer.askAgainMs));
  const sources = Object.entries(answer.sources);
  if (sources.length > SOURCES_MAX)
    throw new RangeError(`The answer has ${sources.length} sources; at most ${SOURCES_MAX} are allowed.`);
  out.varint(sources.length);
  for (const [name, ageMs] of sources) {
    writeText(out, name, SOURCE_NAME_BYTES_MAX);
    out.varint(ageCode(ageMs));
  }
  if (phases !== undefined) {
    out.varint(phaseCode(phases.states));
    out.varint(phases.seq);
  }
  out.raw(answer.changes);
  return out.bytes();
}

/**
 * @param askedEpoch the epoch of the request.
 * @returns the answer; its changes are a view of `bytes` and are checked only when they are applied.
 * @throws RangeError for bytes that are not an answer.
 */
export function decodeAnswer(bytes: Uint8Array, askedEpoch: string): SyncAnswer {
  const from = new VarintReader(bytes);
  const flags = from.varint();
  if ((flags & HAS_TAGS) === 0 || flags > (HAS_TAGS | HAS_EPOCH | HAS_PHASES))
    throw new RangeError(`A sync answer has unknown flags: ${flags}.`);
  const epoch = (flags & HAS_EPOCH) !== 0 ? readText(from, EPOCH_BYTES_MAX) : askedEpoch;
  const seq = from.varint();
  const sinceSeq = seq - from.varint();
  const floorSeq = sinceSeq - from.varint();
  if (floorSeq < 0) throw new RangeError(`A sync answer has a floor below 0: ${floorSeq}.`);
  const ageMs = ageOf(from.varint());
  const askAgainMs = from.varint();
  const count = from.varint();
  if (count > SOURCES_MAX)
    throw new RangeError(`A sync answer has ${count} sources; at most ${SOURCES_MAX} are allowed.`);
  const sources = new Map<string, number>();
  for (let index = 0; index < count; index += 1)
    sources.set(readText(from, SOURCE_NAME_BYTES_MAX), ageOf(from.varint()));
  if (sources.size < count) throw new RangeError('A sync answer names a source twice.');
  const phases = (flags & HAS_PHASES) === 0 ? undefined : readPhases(from, seq);
  const changes = from.rest();
  return {
    epoch,
    seq,
    sinceSeq,
    floorSeq,
    ageMs,
    askAgainMs,
    sources: Object.fromEntries(sources),
    changes,
    ...(phases === undefined ? {} : { phases }),
  };
}

function readPhases(from: VarintReader, newest: number): PhaseMark {
  const states = statesOfCode(from.varint());
  const seq = from.varint();
  if (seq > newest) throw new RangeError(`A sync answer of ${newest} has phases of ${seq}.`);
  return { states, seq };
}

function ageCode(ageMs: number): number {
  return ageMs === Number.POSITIVE_INFINITY ? 0 : Math.ceil(ageMs) + 1;
}

function ageOf(code: number): number {
  return code === 0 ? Number.POSITIVE_INFINITY : code - 1;
}

function writeText(out: VarintWriter, text: string, bytesMax: number): void {
  const bytes = encoder.encode(text);
  if (bytes.length > bytesMax)
    throw new RangeError(`A text has ${bytes.length} bytes; at most ${bytesMax} are allowed.`);
  out.varint(bytes.length);
  out.raw(bytes);
}

function readText(from: VarintReader, bytesMax: number): string {
  const length = from.varint();
  if (length > bytesMax) throw new RangeError(`A text has ${length} bytes; at most ${bytesMax} are allowed.`);
  const bytes = from.raw(length);
  try {
    return decodeUtf8(bytes);
  } catch (error) {
    throw new RangeError('A text is not valid UTF-8.', { cause: error });
  }
}

/** A clock on another machine. */
export interface RemoteClock {
  sync(request: SyncRequest): Promise<Uint8Array>;
}

/** Wraps a remote clock as a parent. If its bytes are not an answer, the sync fails. */
export function clockAt(remote: RemoteClock): ClockParent {
  return { sync: async (request) => decodeAnswer(await remote.sync(request), request.epoch) };
}
