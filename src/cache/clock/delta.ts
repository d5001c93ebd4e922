import { type Clock, raise, SLOTS_PER_BLOCK } from './clock.ts';
import { VarintReader, VarintWriter } from './varint.ts';

/**
 * What changed after a `seq`, in binary: for each changed slot, in ascending order, the distance to the slot
 * before it and how far its version lies behind the newest one, both as variable-length integers. The distance
 * takes one byte where slots are near, the lag never more than three: a handful of changes takes a handful of
 * bytes, and all 65,536 slots at most 256 KB, whatever the counter has come to.
 */
export function encodeDelta(clock: Clock, since: number): Uint8Array<ArrayBuffer> {
  if (since >= clock.seq) return new Uint8Array(0);
  const out = new VarintWriter();
  let previous = -1;
  for (let block = 0; block < clock.newestOfBlock.length; block += 1) {
    if ((clock.newestOfBlock[block] ?? 0) <= since) continue;
    const first = block * SLOTS_PER_BLOCK;
    for (let slot = first; slot < first + SLOTS_PER_BLOCK; slot += 1) {
      const version = clock.changed[slot] ?? 0;
      if (version <= since) continue;
      out.varint(slot - previous - 1);
      out.varint(lagCode(clock.seq - version));
      previous = slot;
    }
  }
  return out.bytes();
}

/** Applies a delta whose newest version is `seq`. Throws a RangeError on bytes that are not a delta. */
export function applyDelta(clock: Clock, seq: number, delta: Uint8Array): void {
  const from = new VarintReader(delta);
  let slot = -1;
  while (!from.done) {
    slot += from.varint() + 1;
    raise(clock, slot, seq - lagOf(from.varint()));
  }
  if (seq > clock.seq) clock.seq = seq;
}

/** Lags below 2^20 invalidations are told exactly. */
const EXACT_LAGS = 2 ** 20;
/** Of a greater lag the 15 leading bits are told: with the 33 powers of two up to 2^53 its code has 21 bits. */
const MANTISSAS = 2 ** 14;
const POWERS = 33;

/**
 * A lag as a number below 2^21. A greater lag is rounded down by less than a 16,384th, and its slot's version
 * thereby up: an entry that was filled that long ago may be refilled once, and none is ever served for it.
 */
function lagCode(lag: number): number {
  if (lag < EXACT_LAGS) return lag;
  const power = 32 - Math.clz32(lag / (2 * EXACT_LAGS));
  const mantissa = Math.floor((lag / 2 ** power / EXACT_LAGS) * MANTISSAS) - MANTISSAS;
  return EXACT_LAGS + power * MANTISSAS + mantissa;
}

function lagOf(code: number): number {
  if (code < EXACT_LAGS) return code;
  const power = Math.floor((code - EXACT_LAGS) / MANTISSAS);
  if (power >= POWERS) throw new RangeError(`${code} is no lag of a slot.`);
  const mantissa = (code - EXACT_LAGS) % MANTISSAS;
  return (MANTISSAS + mantissa) * (EXACT_LAGS / MANTISSAS) * 2 ** power;
}
