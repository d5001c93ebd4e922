import type { Time } from '../platform/clock.ts';

/**
 * How long no model has been asked in an isolate before the runtime loads a graph, in milliseconds. The runtime's start
 * and a load hold the only thread for about 100 ms, which is a request's whole deadline. Requests that follow one another
 * as in a burst come closer together than this.
 */
export const QUIET_MS = 250;
/**
 * The latest begin of a load after the evaluator's first answer, in milliseconds. An isolate whose requests never pause
 * would otherwise stay with the evaluator, which is slower for large graphs.
 */
export const LATEST_MS = 5_000;
/** How long a load waits for the first run of the evaluator, in milliseconds: a version may be loaded without being asked. */
const FIRST_RUN_MS = 500;

/** Moments in milliseconds since the Unix epoch. */
interface Moments {
  /** When the evaluator first answered for the version. */
  readonly answeredMs: number;
  /** When any model of the isolate was last asked. */
  readonly askedMs: number;
  readonly nowMs: number;
}

/** How long the load of a graph that the evaluator computes has to wait, in milliseconds; 0 if it may begin. */
export function waitBeforeLoad({ answeredMs, askedMs, nowMs }: Moments): number {
  return Math.max(0, Math.min(askedMs + QUIET_MS, answeredMs + LATEST_MS) - nowMs);
}

/** Knows when the models of an isolate were last asked, and lets loads wait for a pause. */
export class Quiet {
  readonly #time: Time;
  #askedMs = Number.NEGATIVE_INFINITY;

  constructor(time: Time) {
    this.#time = time;
  }

  /** Notes that a model is asked. */
  asked(): void {
    this.#askedMs = this.#time.now();
  }

  /**
   * Resolves when the runtime may load a graph that the evaluator computes.
   *
   * @param hasRun settles with the first run of the evaluator.
   * @param wanted settles when the load may wait no longer.
   */
  async comes(hasRun: Promise<void>, wanted: Promise<void>): Promise<void> {
    let isWanted = false;
    const noted = wanted.then(() => {
      isWanted = true;
    });
    await this.#within(FIRST_RUN_MS, Promise.race([hasRun, noted]));
    const answeredMs = this.#time.now();
    for (;;) {
      const waitMs = waitBeforeLoad({ answeredMs, askedMs: this.#askedMs, nowMs: this.#time.now() });
      if (isWanted || waitMs === 0) return;
      await this.#within(waitMs, noted);
    }
  }

  async #within(ms: number, promise: Promise<void>): Promise<void> {
    await this.#time.withTimeout(promise, ms, () => new Error('late')).catch(() => undefined);
  }
}
