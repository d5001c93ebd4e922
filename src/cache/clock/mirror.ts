import { type Clock, newClock } from './clock.ts';
import { applyDelta } from './delta.ts';

/** What a mirror asks of the clock above it. */
export interface SyncRequest {
  /** The mirror's own epoch, or empty where it has none yet. */
  readonly epoch: string;
  readonly sinceSeq: number;
  /** How old the parent's own knowledge may be, in milliseconds; 0 asks for the root's word. */
  readonly maxAgeMs: number;
  /** The parent has to know at least this `seq`. */
  readonly minSeq: number;
}

/** The answer. With another epoch than the one asked about, `delta` begins at zero. */
export interface SyncAnswer {
  readonly epoch: string;
  readonly seq: number;
  /** How old the parent's knowledge was when it answered, in milliseconds; 0 at the root. */
  readonly ageMs: number;
  readonly delta: Uint8Array;
}

/** The clock above a mirror: the root, or a mirror itself. */
export interface ClockParent {
  sync(request: SyncRequest): Promise<SyncAnswer>;
}

/**
 * A copy of the clock. Its age is a duration and never a timestamp of another machine: what the parent
 * reported, plus the local time since the sync was *sent*.
 */
export interface Mirror {
  clock: Clock;
  /** Local time at which the newest applied sync was sent; `-Infinity` before the first. */
  syncSentAtMs: number;
  parentAgeMs: number;
}

export function newMirror(): Mirror {
  return { clock: newClock(''), syncSentAtMs: Number.NEGATIVE_INFINITY, parentAgeMs: 0 };
}

/** Upper bound of how old the mirror's knowledge is, in milliseconds. */
export function ageMs(mirror: Mirror, nowMs: number): number {
  return mirror.parentAgeMs + Math.max(0, nowMs - mirror.syncSentAtMs);
}

/** Takes in an answer to a sync that was sent at `sentAtMs`. Answers may come back in any order. */
export function applySync(mirror: Mirror, answer: SyncAnswer, sentAtMs: number): void {
  if (answer.epoch !== mirror.clock.epoch) {
    mirror.clock = newClock(answer.epoch);
    mirror.syncSentAtMs = Number.NEGATIVE_INFINITY;
    mirror.parentAgeMs = 0;
  }
  applyDelta(mirror.clock, answer.seq, answer.delta);
  // An older answer that comes late still raises versions, but does not make the mirror look older or newer.
  if (sentAtMs - answer.ageMs > mirror.syncSentAtMs - mirror.parentAgeMs) {
    mirror.syncSentAtMs = sentAtMs;
    mirror.parentAgeMs = answer.ageMs;
  }
}
