import type { Answered } from './caller.ts';
import { eventually, type Stack, withinBound } from './stack.ts';

/** The bound of `bounded` readers, in milliseconds, with the outbox watch behind it. */
export const BOUND_MS = 4_000;

/** Reads of a stack by the holder of its key. */
export class Reads {
  readonly #stack: () => Stack;

  /** @param stack returns the stack once it has started. */
  constructor(stack: () => Stack) {
    this.#stack = stack;
  }

  readonly get = (path: string, headers: Record<string, string> = {}): Promise<Answered> =>
    this.#stack().caller.ask('GET', path, { headers });

  /** Reads until the answer comes from the cache, so that what makes the next one fresh is an invalidation. */
  readonly cached = (path: string): Promise<Answered> =>
    eventually(
      () => this.get(path),
      ({ cache }) => cache.includes('; hit'),
    );

  /** Reads until the answer is the new one; fails if a request that begins later than the bound gets an old one. */
  readonly fresh = (
    path: string,
    isNew: (answer: Answered) => boolean,
    boundMs = BOUND_MS,
  ): Promise<Answered> => withinBound(() => this.get(path), isNew, boundMs);
}
