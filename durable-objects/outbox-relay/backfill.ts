import { log } from '../../src/platform/logger.ts';

/** Pages of history that one call folds, at most: an invocation may make a thousand calls. */
const STEPS_MAX = 25;
const RETRY_MS = 1_000;
const RETRY_MS_MAX = 60_000;
/** How often callers may have all shards asked, in milliseconds. */
const FORCE_EVERY_MS = 60_000;

/**
 * Builds new features from history, a bounded part of it with each heartbeat. Once nothing is left to do, it asks the
 * database nothing until the object starts again, as it does with every release.
 */
export class Backfill {
  readonly #step: (isForced: boolean) => Promise<boolean>;
  #isRunning = false;
  #isDone = false;
  #failures = 0;
  #notBefore = 0;
  #forceNotBefore = 0;

  constructor(step: (isForced: boolean) => Promise<boolean>) {
    this.#step = step;
  }

  /** Goes on, unless it is under way, or has failed a moment ago. It logs a failure. */
  async go(now: number): Promise<void> {
    if (this.#isRunning || this.#isDone || now < this.#notBefore) return;
    try {
      await this.#steps(false);
      this.#failures = 0;
    } catch (error) {
      this.#notBefore = now + Math.min(RETRY_MS_MAX, RETRY_MS * 2 ** this.#failures);
      this.#failures += 1;
      const fields = { 'event.action': 'feature-backfill' };
      log('warn', 'New features could not be built from history; a later heartbeat retries.', fields, error);
    }
  }

  /** Asks all shards, unless a call has a moment ago, and goes on. */
  async force(now: number): Promise<void> {
    if (this.#isRunning || now < this.#forceNotBefore) return;
    this.#forceNotBefore = now + FORCE_EVERY_MS;
    await this.#steps(true);
  }

  async #steps(isForced: boolean): Promise<void> {
    this.#isRunning = true;
    try {
      for (let steps = 0; steps < STEPS_MAX; steps += 1) {
        const isMore = await this.#step(isForced && steps === 0);
        this.#isDone = !isMore;
        if (!isMore) return;
      }
    } finally {
      this.#isRunning = false;
    }
  }
}
