import { Failure } from '../../platform/failure.ts';
import { SLOT_COUNT } from './slots.ts';

/**
 * The tag clock's state and rules (docs/coherence.md): no I/O, no time, no randomness.
 *
 * `changed[slot]` is the `seq` of the slot's last invalidation. Versions only ever rise, so a change that is
 * applied twice, late or out of order costs a refill and nothing else.
 */
export interface Clock {
  /** Made together with the storage; entries and tokens of another epoch are void. */
  readonly epoch: string;
  seq: number;
  readonly changed: Float64Array;
  /**
   * The highest version of each block of `SLOTS_PER_BLOCK` slots: what tells a delta which blocks it may pass
   * over, so that a few changes are found without a look at all 65,536 slots.
   */
  readonly newestOfBlock: Float64Array;
}

/** The square root of the number of slots: a delta of one slot looks at 256 blocks and at 256 slots. */
export const SLOTS_PER_BLOCK = 256;

/** What an entry needs to be judged: taken from the mirror before the origin was read. */
export interface Stamp {
  readonly epoch: string;
  readonly stamp: number;
}

export function newClock(epoch: string): Clock {
  return {
    epoch,
    seq: 0,
    changed: new Float64Array(SLOT_COUNT),
    newestOfBlock: new Float64Array(SLOT_COUNT / SLOTS_PER_BLOCK),
  };
}

/** Raises the clock once for a whole batch of slots; the returned `seq` names this invalidation. */
export function invalidate(clock: Clock, slots: readonly number[]): number {
  const seq = clock.seq + 1;
  clock.seq = seq;
  for (const slot of slots) raise(clock, slot, seq);
  return seq;
}

/** Sets a slot's version, unless it is higher already. */
export function raise(clock: Clock, slot: number, seq: number): void {
  const current = clock.changed[slot];
  if (current === undefined) throw new RangeError(`slot ${slot} is not in 0..${SLOT_COUNT - 1}`);
  if (seq <= current) return;
  clock.changed[slot] = seq;
  const block = Math.floor(slot / SLOTS_PER_BLOCK);
  if (seq > (clock.newestOfBlock[block] ?? 0)) clock.newestOfBlock[block] = seq;
}

/** True iff nothing that the entry depends on has been invalidated since its stamp was taken. */
export function isValid(clock: Clock, entry: Stamp, slots: readonly number[]): boolean {
  if (entry.epoch !== clock.epoch) return false;
  for (const slot of slots) {
    const version = clock.changed[slot];
    // A slot out of range cannot be judged, and what cannot be judged is not valid.
    if (version === undefined || version > entry.stamp) return false;
  }
  return true;
}

/** A moment of the clock, as clients carry it in `Millrace-Token`: `<epoch>.<seq>`. */
export interface Token {
  readonly epoch: string;
  readonly seq: number;
}

const TOKEN_FORMAT = /^([0-9a-f-]{1,64})\.(\d{1,15})$/;

export function formatToken({ epoch, seq }: Token): string {
  return `${epoch}.${seq}`;
}

/** Throws `invalid_token` where the text is not a token. */
export function parseToken(text: string): Token {
  const match = TOKEN_FORMAT.exec(text);
  if (match?.[1] === undefined || match[2] === undefined) {
    throw new Failure('invalid_token', 'Millrace-Token is not a token that this service gave out.', {
      pointer: 'Millrace-Token',
    });
  }
  return { epoch: match[1], seq: Number(match[2]) };
}
