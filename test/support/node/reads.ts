import { eventually, KEY, type Stack, withinBound } from './stack.ts';

/** The bound of `bounded` readers, in milliseconds, with the outbox watch behind it. */
export const BOUND_MS = 4_000;

/** An answer, as the tests of reads look at it. */
export interface ReadAnswer {
  readonly status: number;
  /** The header `Cache-Status`. */
  readonly cache: string;
  readonly json: Readonly<Record<string, unknown>>;
}

/** Reads of a stack by the holder of its key. */
export class Reads {
  readonly #stack: () => Stack;

  /** @param stack returns the stack once it has started. */
  constructor(stack: () => Stack) {
    this.#stack = stack;
  }

  readonly get = async (path: string, headers: Record<string, string> = {}): Promise<ReadAnswer> => {
    const authorized = { authorization: `Bearer ${KEY}`, ...headers };
    const response = await this.#stack().fetch(path, { headers: authorized });
    const cache = response.headers.get('cache-status') ?? '';
    return { status: response.status, cache, json: (await response.json()) as ReadAnswer['json'] };
  };

  /** Reads until the answer comes from the cache, so that what makes the next one fresh is an invalidation. */
  readonly cached = (path: string): Promise<ReadAnswer> =>
    eventually(
      () => this.get(path),
      ({ cache }) => cache.includes('; hit'),
    );

  /** Reads until the answer is the new one; fails if a request that begins later than the bound gets an old one. */
  readonly fresh = (
    path: string,
    isNew: (answer: ReadAnswer) => boolean,
    boundMs = BOUND_MS,
  ): Promise<ReadAnswer> => withinBound(() => this.get(path), isNew, boundMs);
}
