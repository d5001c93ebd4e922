/** Wall-clock time in milliseconds since the Unix epoch. Passed in wherever a rule needs time. */
export type Now = () => number;

/** The system clock. In workerd it stands still while code runs and moves on at each I/O. */
export const systemNow: Now = Date.now;

/** Time as code that waits needs it: tests and the simulator bring their own. */
export interface Time {
  readonly now: Now;
  readonly withTimeout: typeof withTimeout;
}

/** Settles with `promise`, or rejects with `onTimeout()` after `timeoutMs`; the timer never outlives it. */
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
