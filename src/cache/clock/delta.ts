import type { PhaseMark } from '../../platform/phases.ts';
import type { TagChange } from './changed-tags.ts';
import type { Clock } from './clock.ts';
import { VarintReader, VarintWriter } from './varint.ts';

/** What a clock sends to a mirror of it. */
export interface Delta {
  readonly epoch: string;
  /** The delta has every change above this number. A mirror with a lower one lacks the changes in between. */
  readonly sinceSeq: number;
  /** The number of the newest invalidation. */
  readonly seq: number;
  /** The sender's floor, at most `sinceSeq`: what is older, a mirror need not remember either. */
  readonly floorSeq: number;
  readonly changes: Uint8Array;
  /** The states of the phases as of `seq`; absent if no phase was ever switched. */
  readonly phases?: PhaseMark | undefined;
}

/**
 * The newest change of each tag that has changed after `since`. If they are more than one answer may bring, the newest
 * ones are sent, and `sinceSeq` says from where on they are complete.
 *
 * For each invalidation, in ascending order: the distance of its number to the one before (`sinceSeq` for the first) and
 * the number of its tags, both as variable-length integers; then each tag's hash in four bytes, little-endian.
 */
export function encodeDelta(clock: Clock, since: number): Delta {
  const { epoch, seq, changed, limits, phases } = clock;
  const { floorSeq } = changed;
  let sinceSeq = Math.max(since, floorSeq);
  const changes: TagChange[] = [];
  let groupStart = 0;
  for (const change of changed.newestFirst(sinceSeq)) {
    if (change.seq !== changes.at(-1)?.seq) groupStart = changes.length;
    changes.push(change);
    if (changes.length > limits.tagsPerSyncMax) {
      // An invalidation is sent as a whole or not at all.
      changes.length = groupStart;
      sinceSeq = change.seq;
      break;
    }
  }
  return {
    ...{ epoch, sinceSeq, seq, floorSeq, changes: encodeChanges(changes.reverse(), sinceSeq) },
    ...(phases.seq === 0 ? {} : { phases }),
  };
}

function encodeChanges(ascending: readonly TagChange[], sinceSeq: number): Uint8Array<ArrayBuffer> {
  const out = new VarintWriter();
  let previous = sinceSeq;
  for (let from = 0; from < ascending.length; ) {
    const seq = ascending[from]?.seq ?? previous;
    let end = from + 1;
    while (ascending[end]?.seq === seq) end += 1;
    out.varint(seq - previous);
    out.varint(end - from);
    for (const { tag } of ascending.slice(from, end)) out.uint32(tag);
    previous = seq;
    from = end;
  }
  return out.bytes();
}

/** @throws RangeError for bytes that are not a delta; the clock is then as it was. */
export function applyDelta(clock: Clock, delta: Delta): void {
  const changes = decodeChanges(delta);
  const { changed } = clock;
  if (clock.seq < delta.sinceSeq) changed.forgetUpTo(delta.sinceSeq);
  changed.forgetUpTo(delta.floorSeq);
  if (delta.seq > clock.seq) changed.reserve(changes.length);
  for (let index = 0; index < changes.length; index += 1) {
    const seq = changes.seqs[index] ?? 0;
    const tag = changes.tags[index] ?? 0;
    // A delta may come late or twice: what the clock knows already is in its log.
    if (seq > clock.seq) changed.add(seq, tag);
  }
  if (delta.seq > clock.seq) clock.seq = delta.seq;
  // A late delta has earlier states.
  if (delta.phases !== undefined && delta.phases.seq > clock.phases.seq) clock.phases = delta.phases;
}

/**
 * The changes of a delta, in two columns. The first sync of an isolate brings up to 60,000 of them within its first
 * request, before the code of these loops is compiled: an object for each would take most of that time.
 */
interface Changes {
  readonly length: number;
  readonly seqs: Float64Array;
  readonly tags: Uint32Array;
}

function decodeChanges({ sinceSeq, seq: newest, floorSeq, changes }: Delta): Changes {
  if (floorSeq > sinceSeq) throw new RangeError(`A delta since ${sinceSeq} has a later floor: ${floorSeq}.`);
  const from = new VarintReader(changes);
  // A change takes four bytes and a share of its invalidation's.
  const most = changes.length >>> 2;
  const [seqs, tags] = [new Float64Array(most), new Uint32Array(most)];
  let length = 0;
  let seq = sinceSeq;
  while (!from.done) {
    const distance = from.varint();
    seq += distance;
    if (distance === 0 || seq > newest)
      throw new RangeError(`A delta of ${sinceSeq} to ${newest} names the invalidation ${seq}.`);
    for (let left = from.varint(); left > 0; left -= 1) {
      tags[length] = from.uint32();
      seqs[length] = seq;
      length += 1;
    }
  }
  return { length, seqs, tags };
}
