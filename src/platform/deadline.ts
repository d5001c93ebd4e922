import type { Time } from './clock.ts';

/** The time of a request has passed. The work goes on. */
export class DeadlinePassed extends Error {
  override readonly name = 'DeadlinePassed';
}

/** The time that a request has, from its start to its answer. */
export class Deadline {
  readonly #time: Time;
  readonly #endsAtMs: number;

  /** @param budgetMs milliseconds from now. */
  constructor(time: Time, budgetMs: number) {
    this.#time = time;
    this.#endsAtMs = time.now() + budgetMs;
  }

  /**
   * Settles with the work, or rejects with `DeadlinePassed` when the time has passed before.
   *
   * @param graceMs milliseconds beyond the deadline, for work that keeps to the deadline by itself.
   */
  async within<T>(work: Promise<T>, graceMs = 0): Promise<T> {
    const leftMs = Math.max(0, this.#endsAtMs - this.#time.now()) + graceMs;
    return await this.#time.withTimeout(
      work,
      leftMs,
      () => new DeadlinePassed('The time of the request has passed.'),
    );
  }
}
