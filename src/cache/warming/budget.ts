export interface WarmingLimits {
  /** Reads of the origin that warming may add for nothing, as a share of those that readers cause. */
  readonly share: number;
  /** Unread warms that are allowed ahead of any reader: what an isolate begins with, and keeps at most. */
  readonly burst: number;
  /** Fills begun a second at most. */
  readonly fillsPerSecond: number;
}

export const WARMING_LIMITS: WarmingLimits = {
  // The replay of docs/benchmarks.md: beyond a quarter, hits hardly rise and waste does.
  share: 0.25,
  burst: 8,
  // Below what one isolate's readers may cause; a purge of everything must not become a load test.
  fillsPerSecond: 20,
};

/**
 * What warming may cost. A warm that is read in time replaces a read of the origin and costs nothing, so its
 * token comes back; one that dies unread was added for nothing. Each read of the origin that readers cause, or
 * that a warm has replaced, earns `share` of a token. Therefore, at any time,
 *
 *     unread warms <= burst + share * (reads of the origin for readers + warms that were read)
 *
 * whatever the ranking is worth: a bad one runs out of tokens. Beside that, a second token bucket bounds the rate.
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

  /** How many fills may begin now. */
  available(nowMs: number): number {
    const { fillsPerSecond } = this.#limits;
    const elapsedMs = Math.max(0, nowMs - this.#rateAtMs);
    this.#rateTokens = Math.min(fillsPerSecond, this.#rateTokens + (elapsedMs * fillsPerSecond) / 1_000);
    this.#rateAtMs = nowMs;
    return Math.floor(Math.min(this.#tokens, this.#rateTokens));
  }

  /** Takes the token of one fill, if there is one. */
  take(nowMs: number): boolean {
    if (this.available(nowMs) < 1) return false;
    this.#tokens -= 1;
    this.#rateTokens -= 1;
    return true;
  }

  /** A reader's miss has read the origin. */
  earn(): void {
    this.#add(this.#limits.share);
  }

  /** A warm has been read in time: it stands in for a reader's miss. */
  used(): void {
    this.#add(1 + this.#limits.share);
  }

  /** The origin was not read after all: somebody else had filled the key. */
  giveBack(): void {
    this.#add(1);
  }

  #add(tokens: number): void {
    this.#tokens = Math.min(this.#limits.burst, this.#tokens + tokens);
  }
}
