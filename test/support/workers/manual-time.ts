import type { Time } from '../../../src/platform/clock.ts';

/**
 * Time that passes only when a test says so, for what one object waits for. Fake timers of the whole isolate would also hold
 * those of other Durable Objects, whose alarms come when they like, and would run them in the context of the wrong one.
 */
export class ManualTime {
  #nowMs = 0;
  #timers: { readonly atMs: number; readonly ring: () => void }[] = [];

  readonly sleep = (ms: number): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#timers.push({ atMs: this.#nowMs + ms, ring: resolve });
    return promise;
  };

  readonly withTimeout: Time['withTimeout'] = async (work, timeoutMs, onTimeout) => {
    const expired = this.sleep(timeoutMs).then(() => {
      throw onTimeout();
    });
    // The work may end first.
    expired.catch(() => undefined);
    return await Promise.race([work, expired]);
  };

  /** Lets time pass, once something waits. What a timer causes happens before the next timer rings. */
  async pass(ms: number): Promise<void> {
    while (this.#timers.length === 0) await scheduler.wait(1);
    await settled();
    const untilMs = this.#nowMs + ms;
    for (let next = this.#next(untilMs); next !== undefined; next = this.#next(untilMs)) {
      this.#nowMs = next.atMs;
      next.ring();
      await settled();
    }
    this.#nowMs = untilMs;
  }

  /** Takes out the first timer that is due. */
  #next(untilMs: number) {
    const [next] = this.#timers.filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs);
    this.#timers = this.#timers.filter((timer) => timer !== next);
    return next;
  }
}

/** What can go on without a timer and without storage has done so. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await scheduler.wait(0);
}
