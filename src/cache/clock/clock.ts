import { Failure } from '../../platform/failure.ts';
import { SLOT_COUNT } from './slots.ts';

/**
 * The state and rules of the tag clock (docs/coherence.md), without I/O, time or randomness.
 *
 * `changed[slot]` is the `seq` of the slot's last invalidation. Versions only rise, so a change that arrives twice,
 * late or out of order costs a refill and never a stale answer.
 */
export interface Clock {
  /** Created together with the storage. Entries and tokens of another epoch are invalid. */
  readonly epoch: string;
  seq: number;
  readonly changed: Float64Array;
  /**
   * The highest version in each block of `SLOTS_PER_BLOCK` slots. A delta skips the blocks without changes, so that
   * it finds a few changes without scanning all 65,536 slots.
   */
  readonly newestOfBlock: Float64Array;
}

/** The square root of the number of slots: a delta with one changed slot scans 256 blocks and 256 slots. */
export const SLOTS_PER_BLOCK = 256;

/** The clock's state when an entry's fill began, taken from the mirror before the origin was read. */
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

/** Raises `seq` once for the whole batch of slots and returns it. */
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

/** True if no slot of the entry has been invalidated since its stamp was taken. */
export function isValid(clock: Clock, entry: Stamp, slots: readonly number[]): boolean {
  if (entry.epoch !== clock.epoch) return false;
  for (const slot of slots) {
    const version = clock.changed[slot];
    // A slot out of range has no version to compare, so the entry counts as invalid.
    if (version === undefined || version > entry.stamp) return false;
  }
  return true;
}

/** A moment of the clock. Clients carry it in `Millrace-Token` as `<epoch>.<seq>`. */
export interface Token {
  readonly epoch: string;
  readonly seq: number;
}

const TOKEN_FORMAT = /^([0-9a-f-]{1,64})\.(\d{1,15})$/;

export function formatToken({ epoch, seq }: Token): string {
  return `${epoch}.${seq}`;
}

/** Throws a Failure `invalid_token` if the text is not a token. */
export function parseToken(text: string): Token {
  const match = TOKEN_FORMAT.exec(text);
  if (match?.[1] === undefined || match[2] === undefined) {
    throw new Failure(
      'invalid_token',
      'Millrace-Token is not a token of this service. Send the one from an earlier answer, or none.',
      {
        pointer: 'Millrace-Token',
      },
    );
  }
  return { epoch: match[1], seq: Number(match[2]) };
}
