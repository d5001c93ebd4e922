export interface WarmingLimits {
  /** Reads of the origin that warming may waste, as a share of the reads that readers cause. */
  readonly share: number;
  /** Unread warm fills allowed before any reader's miss: the initial and the largest balance of tokens. */
  readonly burst: number;
  /** The most fills started per second. */
  readonly fillsPerSecond: number;
}

export const WARMING_LIMITS: WarmingLimits = {
  // From the replay in docs/benchmarks.md: beyond a quarter, hits hardly rise and waste does.
  share: 0.25,
  burst: 8,
  // Below the load that one isolate's readers may cause, so that a purge of everything does not become a load test.
  fillsPerSecond: 20,
};

/**
 * Limits the cost of warming by tokens. A warm fill that is read in time replaces a reader's read of the origin and
 * costs nothing, so its token is returned. A fill that becomes invalid unread was wasted. Each read of the origin for a
 * reader, and each warm fill that was read, earns `share` of a token. Therefore, at any time,
 *
 *     unread warms <= burst + share * (reads of the origin for readers + warms that were read)
 *
 * whatever the quality of the ranking: a bad ranking runs out of tokens. A second token bucket limits the rate.
 */
export class WarmingBudget {
  readonly #limits: WarmingLimits;
  #tokens: number;
  #rateTokens: number;
  #rateAtMs = Number.NEGATIVE_INFINITY;

  constructor(limits: WarmingLimits = WARMING_LIMITS) {
    this.#limits = limits;
    this.#tokens = limits.burst;
    this.#rateTokens = limits.fillsPerSecond;
  }

  /** How many fills may start now. */
  available(nowMs: number): number {
    const { fillsPerSecond } = this.#limits;
    const elapsedMs = Math.max(0, nowMs - this.#rateAtMs);
    this.#rateTokens = Math.min(fillsPerSecond, this.#rateTokens + (elapsedMs * fillsPerSecond) / 1_000);
    this.#rateAtMs = nowMs;
    return Math.floor(Math.min(this.#tokens, this.#rateTokens));
  }

  /** Takes the token of one fill; returns false if there is none. */
  take(nowMs: number): boolean {
    if (this.available(nowMs) < 1) return false;
    this.#tokens -= 1;
    this.#rateTokens -= 1;
    return true;
  }

  /** Records that a reader's miss has read the origin. */
  earn(): void {
    this.#add(this.#limits.share);
  }

  /** Records that a warm fill was read in time: it replaced a reader's miss. */
  used(): void {
    this.#add(1 + this.#limits.share);
  }

  /** Returns the token of a fill that did not read the origin, because another request had filled the key. */
  giveBack(): void {
    this.#add(1);
  }

  #add(tokens: number): void {
    this.#tokens = Math.min(this.#limits.burst, this.#tokens + tokens);
  }
}
