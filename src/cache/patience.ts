import type { Time } from '../platform/clock.ts';
import { DeadlinePassed } from '../platform/deadline.ts';
import { Failure } from '../platform/failure.ts';

/** How long a read of the origin may take, in milliseconds, before a reader with a stand-in pings the origin. */
export const PATIENCE_MS = 600;
/** How long the origin may take to answer a ping, in milliseconds. */
const ORIGIN_PING_MS = 300;
/**
 * How long the reader waits once more, in milliseconds: a busy isolate may notice the end of a wait before an answer
 * that has already arrived.
 */
const UNREAD_MS = 20;
/** What a silent origin costs a reader with a stand-in, in milliseconds. */
export const SILENCE_MS = PATIENCE_MS + ORIGIN_PING_MS + UNREAD_MS;

/**
 * Waits for a read of the origin, for a reader that has a stand-in. A slow origin is waited for as long as it answers
 * pings; an origin that answers neither the read nor a ping is away. The pauses between pings double, so that waiting
 * readers put little load on an origin that is slow because it is busy.
 *
 * @param reading continues after the origin has counted as away; the caller has to handle its result.
 * @returns undefined if the origin is away.
 * @throws the error of `reading`, unless it is an outage.
 */
export async function unlessAway<T extends object>(
  reading: Promise<T>,
  ping: () => Promise<unknown>,
  time: Pick<Time, 'withTimeout'>,
): Promise<T | undefined> {
  try {
    return await whileAlive(reading, ping, time);
  } catch (error) {
    if (!isOutage(error)) throw error;
    return undefined;
  }
}

async function whileAlive<T extends object>(
  reading: Promise<T>,
  ping: () => Promise<unknown>,
  { withTimeout }: Pick<Time, 'withTimeout'>,
): Promise<T | undefined> {
  for (let pauseMs = PATIENCE_MS; ; pauseMs *= 2) {
    const early = await within(reading, pauseMs, withTimeout);
    if (early !== undefined) return early;
    const alive = ping().then(
      () => true,
      () => false,
    );
    // The result of the read may come before the answer to the ping.
    const first = Promise.race([reading, alive]);
    const answered =
      (await within(first, ORIGIN_PING_MS, withTimeout)) ?? (await within(first, UNREAD_MS, withTimeout));
    if (typeof answered === 'object') return answered;
    if (answered !== true) return undefined;
  }
}

/** The result; undefined if it takes longer. */
async function within<T>(
  promise: Promise<T>,
  timeoutMs: number,
  withTimeout: Time['withTimeout'],
): Promise<T | undefined> {
  const late = new Error(`No answer within ${timeoutMs} ms.`);
  try {
    return await withTimeout(promise, timeoutMs, () => late);
  } catch (error) {
    if (error === late) return undefined;
    throw error;
  }
}

const OUTAGES: ReadonlySet<string> = new Set([
  'database_unavailable',
  'features_unavailable',
  'model_unavailable',
]);

/** Only an outage or the end of the reader's time lets an old entry stand in. A bug in a query must stay visible. */
function isOutage(error: unknown): boolean {
  if (error instanceof DeadlinePassed) return true;
  return error instanceof Failure && OUTAGES.has(error.code);
}
