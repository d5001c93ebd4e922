import type { Time } from '../../src/platform/clock.ts';

interface Task {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

/**
 * Virtual time. Nothing happens by itself: the next task is taken, time jumps to it, and everything that follows
 * from it without waiting is run to its end before the next one. So a run is the same each time.
 */
export class Scheduler {
  nowMs = 0;
  #order = 0;
  /** A binary heap, earliest first. */
  readonly #heap: Task[] = [];

  /** Runs a callback after a delay; the returned function cancels it. */
  setTimer(delayMs: number, callback: () => void): () => void {
    let cancelled = false;
    this.#order += 1;
    const run = () => {
      if (!cancelled) callback();
    };
    this.#push({ atMs: this.nowMs + Math.max(0, delayMs), order: this.#order, run });
    return () => {
      cancelled = true;
    };
  }

  sleep(delayMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.setTimer(delayMs, resolve);
    return promise;
  }

  /** Takes tasks until none is left before `untilMs`. */
  async run(untilMs: number): Promise<void> {
    for (let next = this.#heap[0]; next !== undefined && next.atMs <= untilMs; next = this.#heap[0]) {
      this.#pop();
      this.nowMs = next.atMs;
      next.run();
      await everythingThatFollows();
    }
    this.nowMs = untilMs;
  }

  /** A machine's own clock: it may be off by any offset, and drift a little. */
  timeOf(offsetMs: number, drift: number): Time {
    return {
      now: () => this.nowMs * (1 + drift) + offsetMs,
      withTimeout: async (promise, timeoutMs, onTimeout) => {
        const { promise: expired, reject } = Promise.withResolvers<never>();
        const cancel = this.setTimer(timeoutMs / (1 + drift), () => reject(onTimeout()));
        try {
          return await Promise.race([promise, expired]);
        } finally {
          cancel();
        }
      },
    };
  }

  #push(task: Task): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(task);
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above] as Task;
      if (isEarlier(parent, task)) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = task;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      const left = at * 2 + 1;
      if (left >= heap.length) break;
      const right = left + 1;
      const below = right < heap.length && isEarlier(heap[right] as Task, heap[left] as Task) ? right : left;
      if (isEarlier(last, heap[below] as Task)) break;
      heap[at] = heap[below] as Task;
      at = below;
    }
    heap[at] = last;
  }
}

function isEarlier(a: Task, b: Task): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** Resolves when no promise is left that could go on without time passing. */
function everythingThatFollows(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  setImmediate(resolve);
  return promise;
}
