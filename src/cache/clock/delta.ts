import { type Clock, raise, SLOTS_PER_BLOCK } from './clock.ts';
import { VarintReader, VarintWriter } from './varint.ts';

/**
 * Encodes the slots that changed after `since`. For each changed slot, in ascending order: its distance to the slot
 * before it, and how far its version lags behind the newest one, both as variable-length integers. A distance takes
 * one byte where slots are near; a lag takes at most three. So a few changes take a few bytes, and all 65,536 slots
 * take at most 256 KB, however high `seq` is.
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

/** Applies a delta whose newest version is `seq`. Throws a RangeError for bytes that are not a delta. */
export function applyDelta(clock: Clock, seq: number, delta: Uint8Array): void {
  const from = new VarintReader(delta);
  let slot = -1;
  while (!from.done) {
    slot += from.varint() + 1;
    raise(clock, slot, seq - lagOf(from.varint()));
  }
  if (seq > clock.seq) clock.seq = seq;
}

/** Lags below 2^20 invalidations are encoded exactly. */
const EXACT_LAGS = 2 ** 20;
/** A greater lag keeps its 15 leading bits. With the 33 powers of two up to 2^53, its code has 21 bits. */
const MANTISSAS = 2 ** 14;
const POWERS = 33;

/**
 * Encodes a lag as a number below 2^21. A greater lag is rounded down by less than 1/16,384, which rounds the slot's
 * version up. An entry as old as that may be refilled once without need; no stale entry is served.
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
  if (power >= POWERS) throw new RangeError(`${code} is not the code of a slot's lag.`);
  const mantissa = (code - EXACT_LAGS) % MANTISSAS;
  return (MANTISSAS + mantissa) * (EXACT_LAGS / MANTISSAS) * 2 ** power;
}
