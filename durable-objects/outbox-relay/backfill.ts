import { reasonOf } from '../../src/platform/failure.ts';
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
  #failure: string | undefined;
  #notBefore = 0;
  #forceNotBefore = 0;

  constructor(step: (isForced: boolean) => Promise<boolean>) {
    this.#step = step;
  }

  /** Why the last step failed; undefined if it did not. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** There may be something to do although the database said that nothing is left. */
  wake(): void {
    this.#isDone = false;
    this.#notBefore = 0;
  }

  /**
   * Goes on, unless it is under way, or has failed a moment ago. It logs a failure.
   *
   * @param isAsked a caller knows that something is not ready: all shards are asked, at most once a minute.
   * @param onStep called after the first step.
   */
  async go(now: number, isAsked = false, onStep?: () => void): Promise<void> {
    const isForced = isAsked && now >= this.#forceNotBefore;
    if (this.#isRunning || (this.#isDone && !isForced) || now < this.#notBefore) return;
    if (isForced) this.#forceNotBefore = now + FORCE_EVERY_MS;
    try {
      await this.#steps(isForced, onStep);
      this.#failures = 0;
      this.#failure = undefined;
    } catch (error) {
      this.#notBefore = now + Math.min(RETRY_MS_MAX, RETRY_MS * 2 ** this.#failures);
      this.#failures += 1;
      this.#failure = reasonOf(error);
      if (isForced) this.#forceNotBefore = this.#notBefore;
      const fields = { 'event.action': 'feature-backfill' };
      log('warn', 'New features could not be built from history; a later call retries.', fields, error);
    }
  }

  async #steps(isForced: boolean, onStep?: () => void): Promise<void> {
    this.#isRunning = true;
    try {
      for (let steps = 0; steps < STEPS_MAX; steps += 1) {
        const isMore = await this.#step(isForced && steps === 0);
        this.#isDone = !isMore;
        onStep?.();
        if (!isMore) return;
      }
    } finally {
      this.#isRunning = false;
    }
  }
}
