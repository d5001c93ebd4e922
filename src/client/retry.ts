/** The first wait is at most this long: half a second lets a connection recover. */
const BACKOFF_BASE_MS = 500;
/** The longest wait of the backoff alone: the client finds a server that is back within it. */
const BACKOFF_CAP_MS = 10_000;
/** Doublings after which the cap is reached; keeps the power finite. */
const DOUBLINGS_MAX = 16;

/** Whether a method has no effect (RFC 9110 §9.2.1), so that a repetition changes nothing. */
export function isSafe(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS';
}

/**
 * Whether the same request may succeed later: too many requests, or a part of the server is away. A 500 is a defect of
 * the server, which a repetition only adds load to.
 */
export function isTransient(status: number): boolean {
  return status === 429 || (status >= 502 && status <= 504);
}

/** Codes of a 409 that end by themselves: an earlier attempt of the same request is still under way. */
const IN_FLIGHT: ReadonlySet<string> = new Set(['idempotency_in_flight']);

export function isInFlight(code: string): boolean {
  return IN_FLIGHT.has(code);
}

/**
 * How long to wait before the next attempt, in milliseconds: capped exponential backoff with full jitter (M. Brooker,
 * "Exponential Backoff And Jitter", 2015), in addition to what the server asked for, so that clients that were all told
 * the same time do not return together.
 *
 * @param failures attempts so far, from 1.
 */
export function backoffMs(failures: number, retryAfterMs: number | undefined, random: () => number): number {
  const doublings = Math.min(Math.max(failures - 1, 0), DOUBLINGS_MAX);
  const ceiling = Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** doublings);
  return (retryAfterMs ?? 0) + random() * ceiling;
}

/**
 * Reads a `Retry-After` header (RFC 9110 §10.2.3), seconds or a date, as milliseconds from now.
 *
 * @param date the `Date` of the same response. A date is counted from it, so that the client's own clock may be wrong.
 * @param now milliseconds since the Unix epoch by that clock, for a response without `Date`.
 */
export function retryAfterMsOf(header: string | null, date: string | null, now: number): number | undefined {
  const value = header?.trim() ?? '';
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1_000;
  const until = Date.parse(value);
  const sentAt = Date.parse(date ?? '');
  return Number.isNaN(until) ? undefined : Math.max(0, until - (Number.isNaN(sentAt) ? now : sentAt));
}
