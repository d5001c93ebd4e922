import type { Region } from '../../platform/regions.ts';
import type { Token } from './clock.ts';
import { type Clock, newClock } from './clock.ts';
import { applyDelta, encodeDelta } from './delta.ts';
import { OUTBOX, type SourceAges, sourceAges } from './sources.ts';

/** What a mirror asks of the clock above it. */
export interface SyncRequest {
  /** The mirror's own epoch, or empty where it has none yet. */
  readonly epoch: string;
  readonly sinceSeq: number;
  /** How old the parent's own knowledge may be, in milliseconds; 0 asks for the root's word. */
  readonly maxAgeMs: number;
  /** The parent has to know at least this moment, or to have asked its own parent. */
  readonly atLeast: Token | undefined;
  /**
   * How old the watermarks of the sources should be at most, in milliseconds: the root then looks after a source
   * that lags, but answers in any case.
   */
  readonly sourceMaxAgeMs?: number | undefined;
  /** The region that asks, where it is one: the root pushes to those that asked lately. */
  readonly region?: Region;
}

/** The answer. With another epoch than the one asked about, `delta` begins at zero. */
export interface SyncAnswer {
  readonly epoch: string;
  readonly seq: number;
  /** How old the parent's knowledge was when it answered, in milliseconds; 0 at the root. */
  readonly ageMs: number;
  readonly delta: Uint8Array;
  /** Ages of the watermarks when it answered. */
  readonly sources: SourceAges;
  /** How soon the mirror may ask again in the background, in milliseconds. */
  readonly askAgainMs: number;
}

/** What the root tells a region without having been asked. */
export interface PushedDelta {
  readonly epoch: string;
  /** The delta begins here: a mirror that knows less has missed a push, and ignores this one. */
  readonly sinceSeq: number;
  readonly seq: number;
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
  /** Counts syncs in the order of their sending; of the newest one that was applied. */
  syncOrder: number;
  /** Local time at which the newest applied sync was sent; `-Infinity` before the first. */
  syncSentAtMs: number;
  parentAgeMs: number;
  /** For each source the local time before which everything that it committed has been invalidated. */
  completeUntilMs: ReadonlyMap<string, number>;
  /** As the parent asked for with its last answer. */
  askAgainMs: number;
}

export function newMirror(): Mirror {
  return {
    clock: newClock(''),
    syncOrder: 0,
    syncSentAtMs: Number.NEGATIVE_INFINITY,
    parentAgeMs: 0,
    completeUntilMs: new Map(),
    askAgainMs: 0,
  };
}

/** Upper bound of how old the mirror's knowledge is, in milliseconds. */
export function ageMs(mirror: Mirror, nowMs: number): number {
  return mirror.parentAgeMs + Math.max(0, nowMs - mirror.syncSentAtMs);
}

/** The age of the watermark that lags most, in milliseconds; Infinity while the outbox has told nothing yet. */
export function oldestSourceAgeMs(completeUntilMs: ReadonlyMap<string, number>, nowMs: number): number {
  if (!completeUntilMs.has(OUTBOX)) return Number.POSITIVE_INFINITY;
  return Math.max(0, nowMs - Math.min(...completeUntilMs.values()));
}

/** When a sync was sent: by the local clock for ages, and by a counter for the order. */
export interface Sent {
  readonly atMs: number;
  readonly order: number;
}

/** Takes in an answer to a sync. Answers may come back in any order. */
export function applySync(mirror: Mirror, answer: SyncAnswer, sent: Sent): void {
  const newest = sent.order > mirror.syncOrder;
  if (answer.epoch !== mirror.clock.epoch) {
    // The late answer of a clock that has been made anew since must not bring its epoch back.
    if (!newest) return;
    mirror.clock = newClock(answer.epoch);
    mirror.syncSentAtMs = Number.NEGATIVE_INFINITY;
    mirror.parentAgeMs = 0;
  }
  applyDelta(mirror.clock, answer.seq, answer.delta);
  // An older answer that comes late still raises versions, but does not make the mirror look older or newer.
  if (sent.atMs - answer.ageMs > mirror.syncSentAtMs - mirror.parentAgeMs) {
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
 * Takes in what was pushed. It makes answers fresher and the mirror no younger: how long a push was under way
 * nobody knows, and only a sync that the mirror sent itself tells its age.
 *
 * @returns whether it could be used.
 */
export function applyPush(mirror: Mirror, pushed: PushedDelta): boolean {
  const { clock } = mirror;
  if (pushed.epoch !== clock.epoch || clock.seq < pushed.sinceSeq) return false;
  applyDelta(clock, pushed.seq, pushed.delta);
  return true;
}

/** What a mirror answers to those below it, as of now. */
export function answerFrom(
  mirror: Mirror,
  request: SyncRequest,
  nowMs: number,
  askAgainMs: number,
): SyncAnswer {
  const { clock } = mirror;
  const since = request.epoch === clock.epoch ? request.sinceSeq : 0;
  return {
    epoch: clock.epoch,
    seq: clock.seq,
    ageMs: ageMs(mirror, nowMs),
    delta: encodeDelta(clock, since),
    sources: sourceAges(mirror.completeUntilMs, nowMs),
    askAgainMs,
  };
}
