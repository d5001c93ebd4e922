/** When a breaker opens, and for how long. All times in milliseconds. */
export interface BreakerRule {
  /** So many calls have to fail one after the other, without a success between them. */
  readonly failuresMin: number;
  /** And so long after the first of them: a burst of calls that fail at the same moment does not open it. */
  readonly spanMs: number;
  /** How long it is open at first. Each probe that fails doubles it. */
  readonly openMs: number;
  readonly openMaxMs: number;
}

/**
 * The rule for every peer. A peer that answers any call is not refused, so one slow statement or one object of many that
 * hangs opens nothing while others answer.
 */
export const BREAKER_RULE: BreakerRule = { failuresMin: 5, spanMs: 1_000, openMs: 500, openMaxMs: 5_000 };

/**
 * What happens to a call: it is made (the breaker is closed), made to find out whether the peer answers again (half-open), or
 * not made (open).
 */
export type Admission = 'call' | 'probe' | 'refused';

/**
 * After this long without an answer to a probe another one is admitted, in milliseconds: some calls may wait for 30 s, and a
 * request that ends early reports nothing.
 */
export const PROBE_LEASE_MS = 2_000;

/**
 * A circuit breaker of one peer (M. Nygard, "Release It!"; the states are those of Polly and resilience4j). It counts
 * failures one after the other, as Envoy's outlier detection does (`consecutive_5xx`). It belongs to one isolate and makes
 * no call of its own: the first call after the pause is the probe.
 */
export class Breaker {
  readonly #rule: BreakerRule;
  readonly #random: () => number;
  /** Since the last success. */
  #failures = 0;
  #firstFailedMs = 0;
  /** How often it was opened since the last success; 0 while it is closed. */
  #openings = 0;
  #openUntilMs = 0;
  #probeUntilMs = Number.NEGATIVE_INFINITY;

  /** @param random from 0 to 1: breakers of many isolates do not probe at the same moment. */
  constructor(rule: BreakerRule, random: () => number) {
    this.#rule = rule;
    this.#random = random;
  }

  /** How long calls are refused at least, in milliseconds. */
  remainingMs(nowMs: number): number {
    return Math.max(0, Math.max(this.#openUntilMs, this.#probeUntilMs) - nowMs);
  }

  /** @param deadlineMs of the call. */
  admit(nowMs: number, deadlineMs: number): Admission {
    if (this.#openings === 0) return 'call';
    if (nowMs < this.#openUntilMs || nowMs < this.#probeUntilMs) return 'refused';
    this.#probeUntilMs = nowMs + Math.min(deadlineMs, PROBE_LEASE_MS);
    return 'probe';
  }

  /**
   * The peer has answered a call, whenever it was made.
   *
   * @returns whether this closes the breaker.
   */
  succeeded(): boolean {
    const closes = this.#openings > 0;
    this.#failures = 0;
    this.#openings = 0;
    this.#probeUntilMs = Number.NEGATIVE_INFINITY;
    return closes;
  }

  /**
   * A call has failed. While the breaker is open, calls that were made before say nothing new.
   *
   * @returns whether this opens the breaker.
   */
  failed(admission: Admission, nowMs: number): boolean {
    if (this.#openings > 0) return admission === 'probe' && this.#open(nowMs);
    if (this.#failures === 0) this.#firstFailedMs = nowMs;
    this.#failures += 1;
    const { failuresMin, spanMs } = this.#rule;
    return this.#failures >= failuresMin && nowMs - this.#firstFailedMs >= spanMs && this.#open(nowMs);
  }

  #open(nowMs: number): true {
    const wholeMs = Math.min(this.#rule.openMs * 2 ** this.#openings, this.#rule.openMaxMs);
    // Between half and all of it.
    this.#openUntilMs = nowMs + wholeMs * (0.5 + this.#random() / 2);
    this.#probeUntilMs = Number.NEGATIVE_INFINITY;
    this.#openings += 1;
    return true;
  }
}
