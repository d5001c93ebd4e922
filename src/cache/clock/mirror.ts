import type { Region } from '../../platform/regions.ts';
import type { ClockLimits } from './changed-tags.ts';
import type { Token } from './clock.ts';
import { type Clock, newClock } from './clock.ts';
import { applyDelta, type Delta, encodeDelta } from './delta.ts';
import { OUTBOX, type SourceAges, sourceAges } from './sources.ts';

/** A mirror's request to its parent clock. */
export interface SyncRequest {
  /** The mirror's epoch; empty before its first sync. */
  readonly epoch: string;
  readonly sinceSeq: number;
  /** How old the parent's own knowledge may be, in milliseconds; 0 requires an answer from the root. */
  readonly maxAgeMs: number;
  /** The parent must have reached this moment, or must have synced with its own parent. */
  readonly atLeast: Token | undefined;
  /**
   * The wanted maximum age of the sources' watermarks, in milliseconds. The root starts a pass over a source that
   * lags, but answers in any case.
   */
  readonly sourceMaxAgeMs?: number | undefined;
  /** Set if a region asks. The root pushes to the regions that asked recently. */
  readonly region?: Region;
  /** Whether the mirror understands the states of phases. */
  readonly takesPhases?: boolean;
}

/** The answer to a sync. If its epoch differs from the requested one, it has everything that the parent remembers. */
export interface SyncAnswer extends Delta {
  /** Age of the parent's knowledge when it answered, in milliseconds; 0 at the root. */
  readonly ageMs: number;
  /** Ages of the watermarks when the parent answered. */
  readonly sources: SourceAges;
  /** The shortest pause before the mirror's next background sync, in milliseconds. */
  readonly askAgainMs: number;
}

/** The parent of a mirror: the root, or another mirror. */
export interface ClockParent {
  sync(request: SyncRequest): Promise<SyncAnswer>;
}

/**
 * A copy of the clock. Its age is a duration, never a timestamp of another machine: the age that the parent
 * reported, plus the local time since the sync was *sent*.
 */
export interface Mirror {
  clock: Clock;
  /** The epochs that the mirror has left, newest last; at most `LEFT_EPOCHS_MAX`. */
  leftEpochs: readonly string[];
  /** Order of sending of the newest sync that was applied. */
  syncOrder: number;
  /** Local time at which the newest applied sync was sent; `-Infinity` before the first. */
  syncSentAtMs: number;
  parentAgeMs: number;
  /** For each source, the local time up to which all its commits have been invalidated. */
  completeUntilMs: ReadonlyMap<string, number>;
  /** From the parent's last answer. */
  askAgainMs: number;
}

export function newMirror(limits?: ClockLimits): Mirror {
  return {
    clock: newClock('', limits),
    leftEpochs: [],
    syncOrder: 0,
    syncSentAtMs: Number.NEGATIVE_INFINITY,
    parentAgeMs: 0,
    completeUntilMs: new Map(),
    askAgainMs: 0,
  };
}

/** Two requests of an isolate may have read the wall clock in another order than they act, by this much, in milliseconds. */
const READ_EARLIER_MS_MAX = 100;
/** The age of a mirror whose age is not known, in milliseconds: older than any reader allows. */
const UNKNOWN_AGE_MS = 86_400_000;

/** Whether the wall clock was set back since a moment that it showed, so that no time since then is known. */
export function isSetBack(sinceMs: number, nowMs: number): boolean {
  return nowMs < sinceMs - READ_EARLIER_MS_MAX;
}

/**
 * Upper bound of the age of the mirror's knowledge, in milliseconds. A wall clock that was set back would show a mirror as
 * young until it is where it was before; the mirror counts as too old then, and the next sync makes its age known.
 */
export function ageMs(mirror: Mirror, nowMs: number): number {
  if (isSetBack(mirror.syncSentAtMs, nowMs)) return UNKNOWN_AGE_MS;
  return mirror.parentAgeMs + Math.max(0, nowMs - mirror.syncSentAtMs);
}

/** The age of the oldest watermark, in milliseconds; Infinity while the outbox has no watermark yet. */
export function oldestSourceAgeMs(completeUntilMs: ReadonlyMap<string, number>, nowMs: number): number {
  if (!completeUntilMs.has(OUTBOX)) return Number.POSITIVE_INFINITY;
  return Math.max(0, nowMs - Math.min(...completeUntilMs.values()));
}

/** When a sync was sent: local time, for ages, and a counter, for the order. */
export interface Sent {
  readonly atMs: number;
  readonly order: number;
}

/**
 * The most epochs that a mirror remembers as left. An epoch ends when the root's storage is replaced, and a clock that
 * still follows an earlier one is at most as old as its readers allow.
 */
const LEFT_EPOCHS_MAX = 8;

/**
 * Applies an answer to a sync. Answers may arrive in any order.
 *
 * @throws Error if the answer is of an epoch that the mirror has left. A region may not have heard of the root's new
 *   epoch when an isolate that reached the root has. A reader that waited for the new epoch would otherwise be answered
 *   from entries of the old one.
 */
export function applySync(mirror: Mirror, answer: SyncAnswer, sent: Sent): void {
  const newest = sent.order > mirror.syncOrder;
  if (answer.epoch !== mirror.clock.epoch) {
    // A late answer from before the clock's storage was replaced must not restore the old epoch.
    if (!newest) return;
    if (mirror.leftEpochs.includes(answer.epoch))
      throw new Error(`The clock's parent still follows the epoch ${answer.epoch}, which has ended.`);
    if (mirror.clock.epoch !== '')
      mirror.leftEpochs = [...mirror.leftEpochs, mirror.clock.epoch].slice(-LEFT_EPOCHS_MAX);
    mirror.clock = newClock(answer.epoch, mirror.clock.limits);
    mirror.syncSentAtMs = Number.NEGATIVE_INFINITY;
    mirror.parentAgeMs = 0;
  }
  applyDelta(mirror.clock, answer);
  // An age is taken over only if it makes the mirror younger: a late answer never makes it look older. A sync that was sent
  // later at an earlier time says that the wall clock was set back: the age that the mirror has is none.
  const isYounger = sent.atMs - answer.ageMs > mirror.syncSentAtMs - mirror.parentAgeMs;
  if (isYounger || (newest && isSetBack(mirror.syncSentAtMs, sent.atMs))) {
    mirror.syncSentAtMs = sent.atMs;
    mirror.parentAgeMs = answer.ageMs;
  }
  if (!newest) return;
  mirror.syncOrder = sent.order;
  mirror.askAgainMs = answer.askAgainMs;
  mirror.completeUntilMs = new Map(
    Object.entries(answer.sources).map(([source, ageMs]) => [source, sent.atMs - ageMs]),
  );
}

/**
 * Applies a push. A push brings changes and never lowers the mirror's age: its transit time is unknown, and only a sync
 * that the mirror sent itself measures an age.
 *
 * @returns false if the push belongs to another epoch or leaves a gap, and was ignored.
 */
export function applyPush(mirror: Mirror, pushed: Delta): boolean {
  const { clock } = mirror;
  if (pushed.epoch !== clock.epoch || clock.seq < pushed.sinceSeq) return false;
  applyDelta(clock, pushed);
  return true;
}

/** Answers the sync of a child from this mirror. */
export function answerFrom(
  mirror: Mirror,
  request: SyncRequest,
  nowMs: number,
  askAgainMs: number,
): SyncAnswer {
  const { clock } = mirror;
  const since = request.epoch === clock.epoch ? request.sinceSeq : 0;
  return {
    ...encodeDelta(clock, since),
    ageMs: ageMs(mirror, nowMs),
    sources: sourceAges(mirror.completeUntilMs, nowMs),
    askAgainMs,
  };
}
