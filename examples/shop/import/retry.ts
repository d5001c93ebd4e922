/** A first failure is answered within this time at most: half a second lets a connection recover. */
const BACKOFF_BASE_MS = 500;
/** Longest wait of the exponential backoff: a server that is back is noticed within it. */
const BACKOFF_CAP_MS = 30_000;
/** Doublings after which the cap is reached in any case; keeps the power finite. */
const DOUBLINGS_MAX = 16;

/** Without any answer that helps for this long, the import gives up: a deployment or a restart takes less. */
export const UNAVAILABLE_MS_MAX = 10 * 60_000;

/**
 * How long to wait before the next try: capped exponential backoff with full jitter (M. Brooker, "Exponential
 * Backoff And Jitter", 2015), on top of what the server asked for.
 */
export function backoffMs(failures: number, retryAfterMs: number | null, random: () => number): number {
  const doublings = Math.min(Math.max(failures - 1, 0), DOUBLINGS_MAX);
  const ceiling = Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** doublings);
  return (retryAfterMs ?? 0) + random() * ceiling;
}

/** Whether the same request may succeed later: too many requests, or a fault on the server's side. */
export function isTransient(status: number): boolean {
  return status === 429 || status >= 500;
}
