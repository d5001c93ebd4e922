import type { Time } from './clock.ts';

/** An answer, and whether the first or the second call gave it. */
export interface Hedged<T> {
  readonly answer: T;
  readonly by: 'first' | 'second';
}

/**
 * Calls `first`, and `second` as well if the first one fails or has not answered after a while. The earlier success is
 * the answer. So a peer that hangs costs `afterMs`, and one that fails costs nothing.
 *
 * @throws the error of `second`, if both fail.
 */
export async function hedged<T>(
  first: () => Promise<T>,
  second: () => Promise<T>,
  afterMs: number,
  { withTimeout }: Pick<Time, 'withTimeout'>,
): Promise<Hedged<T>> {
  const one = first().then((answer): Hedged<T> => ({ answer, by: 'first' }));
  try {
    return await withTimeout(one, afterMs, () => new Error(`No answer within ${afterMs} ms.`));
  } catch {
    const two = second().then((answer): Hedged<T> => ({ answer, by: 'second' }));
    try {
      return await Promise.any([one, two]);
    } catch {
      return await two;
    }
  }
}
