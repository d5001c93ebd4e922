/** The effects of the client. Tests pass their own. */
export interface ClientSystem {
  readonly fetch: typeof fetch;
  /** Milliseconds of a clock that never steps back. */
  readonly now: () => number;
  /** Milliseconds since the Unix epoch, for a `Retry-After` that is a date in a response without `Date`. */
  readonly wallClock: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** A random identifier (UUID version 4, RFC 9562). */
  readonly newId: () => string;
  /** Resolves after the time; rejects with the reason of the signal as soon as it is aborted. */
  readonly sleep: (ms: number, signal: AbortSignal | undefined) => Promise<void>;
  /** Calls back after the time, unless the returned function is called before. */
  readonly after: (ms: number, callback: () => void) => () => void;
}

/** The runtime's own: a browser, a Worker, or Node from version 20. */
export const SYSTEM: ClientSystem = {
  // Called as a method of another object, the `fetch` of a browser throws.
  fetch: (...request) => fetch(...request),
  now: () => performance.now(),
  wallClock: () => Date.now(),
  random: () => Math.random(),
  newId: () => crypto.randomUUID(),
  sleep,
  after,
};

function after(ms: number, callback: () => void): () => void {
  const timer = setTimeout(callback, ms);
  return () => clearTimeout(timer);
}

function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) return reject(signal.reason);
    const onAbort = () => {
      cancel();
      reject(signal?.reason);
    };
    const cancel = after(ms, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
