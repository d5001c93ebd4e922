/** Returns the wall-clock time in milliseconds since the Unix epoch. Rules that need time get it passed in. */
export type Now = () => number;

/** The system clock. In workerd it stands still while code runs and advances at each I/O. */
export const systemNow: Now = Date.now;

/** Time for code that waits. Tests and the simulator pass their own. */
export interface Time {
  readonly now: Now;
  readonly withTimeout: typeof withTimeout;
}

/** Settles with `promise`, or rejects with `onTimeout()` after `timeoutMs`. It always clears its timer. */
export async function withTimeout<T>(
  promise: Promise<T>,
  timeoutMs: number,
  onTimeout: () => Error,
): Promise<T> {
  const { promise: expired, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(onTimeout()), timeoutMs);
  try {
    return await Promise.race([promise, expired]);
  } finally {
    clearTimeout(timer);
  }
}

/** Resolves after a delay. */
export function sleep(ms: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  setTimeout(resolve, ms);
  return promise;
}

export const systemTime: Time = { now: systemNow, withTimeout };
