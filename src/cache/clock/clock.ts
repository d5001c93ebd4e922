import { Failure } from '../../platform/failure.ts';
import { ALL_ON, type PhaseMark } from '../../platform/phases.ts';
import { ChangedTags, CLOCK_LIMITS, type ClockLimits } from './changed-tags.ts';

/** The state and rules of the tag clock (docs/coherence.md), without I/O, time or randomness. */
export interface Clock {
  /** Created together with the storage, or after a restore. Entries and tokens of another epoch are invalid. */
  readonly epoch: string;
  /** The number of the newest invalidation; every change up to it that is above the floor is in `changed`. */
  seq: number;
  readonly changed: ChangedTags;
  readonly limits: ClockLimits;
  /** The states of the phases as of `seq`. */
  phases: PhaseMark;
}

/** The clock's state when an entry's fill began, taken from the mirror before the origin was read. */
export interface Stamp {
  readonly epoch: string;
  readonly stamp: number;
}

export function newClock(epoch: string, limits: ClockLimits = CLOCK_LIMITS): Clock {
  return { epoch, seq: 0, changed: new ChangedTags(limits.tagsMax), limits, phases: ALL_ON };
}

/** Raises `seq` once for the whole batch of tags and returns it. */
export function invalidate(clock: Clock, tags: readonly number[]): number {
  const seq = clock.seq + 1;
  clock.seq = seq;
  for (const tag of tags) clock.changed.add(seq, tag);
  return seq;
}

/** True if the clock remembers everything since the entry's stamp, and none of its tags has changed since. */
export function isValid(clock: Clock, entry: Stamp, tags: readonly number[]): boolean {
  const { changed } = clock;
  if (entry.epoch !== clock.epoch) return false;
  if (entry.stamp < changed.floorSeq) return false;
  return !changed.haveChangedSince(tags, entry.stamp);
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
