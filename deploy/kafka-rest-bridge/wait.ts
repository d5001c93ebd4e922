/**
 * Waits until one of the sources wakes it, the time has elapsed, or the signal aborts. Each source returns a function
 * that stops it.
 */
export async function waitForAny(
  sources: readonly ((wake: () => void) => () => void)[],
  ms: number,
  signal: AbortSignal,
): Promise<void> {
  if (ms <= 0 || signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const stops = sources.map((source) => source(resolve));
  const timer = setTimeout(resolve, ms);
  const onAbort = () => resolve();
  signal.addEventListener('abort', onAbort);
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
    for (const stop of stops) stop();
  }
}
