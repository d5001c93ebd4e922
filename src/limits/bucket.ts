import { type Lane, type RatePolicy, RESERVED_SHARE } from './policy.ts';

/** What an isolate asks of a budget. In units. */
export interface Question {
  readonly lane: Lane;
  /** What it has spent on credit since its last question. */
  readonly spent: number;
  /** What a request waits for; 0 if none does. */
  readonly need: number;
  /** What it would spend within a lease. */
  readonly want: number;
}

export interface Answer {
  /** What the isolate may spend within a lease: nothing, or at least what it needs. */
  readonly granted: number;
  /** How long there is nothing, in milliseconds; 0 if the isolate was not refused. */
  readonly refusedForMs: number;
  /** What is left for the lane, after this answer. */
  readonly remaining: number;
}

/** One isolate gets at most this share of what is left, unless it needs more, so that others get something, too. */
const GRANT_SHARE = 0.5;

/**
 * A token bucket. Units are granted before they are spent, so the grants of all isolates together never exceed the
 * policy. What isolates have spent on credit is charged when they report it, and may leave the bucket below zero.
 */
export class Bucket {
  #level: number;
  #atMs: number;

  /** @param level the units that it begins with; full unless given. */
  constructor(policy: RatePolicy, nowMs: number, level = policy.burst) {
    this.#level = level;
    this.#atMs = nowMs;
  }

  ask({ lane, spent, need, want }: Question, policy: RatePolicy, nowMs: number): Answer {
    this.#fill(policy, nowMs);
    this.#level -= spent;
    const available = this.#level - RESERVED_SHARE[lane] * policy.burst;
    const missing = Math.max(need, Number.EPSILON) - available;
    if (missing > 0)
      return {
        granted: 0,
        refusedForMs: Math.ceil((missing / policy.perSecond) * 1_000),
        remaining: Math.max(0, Math.floor(available)),
      };
    const granted = Math.max(need, Math.min(want, Math.floor(available * GRANT_SHARE)));
    this.#level -= granted;
    return { granted, refusedForMs: 0, remaining: Math.max(0, Math.floor(available - granted)) };
  }

  /** Whether it has nothing to remember. */
  isFull(policy: RatePolicy, nowMs: number): boolean {
    this.#fill(policy, nowMs);
    return this.#level >= policy.burst;
  }

  /** A clock that was set back adds nothing. */
  #fill({ perSecond, burst }: RatePolicy, nowMs: number): void {
    const elapsedMs = Math.max(0, nowMs - this.#atMs);
    this.#level = Math.min(burst, this.#level + (perSecond * elapsedMs) / 1_000);
    this.#atMs = Math.max(this.#atMs, nowMs);
  }
}
