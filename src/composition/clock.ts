import type { Token } from '../cache/clock/clock.ts';
import type { SyncAnswer, SyncRequest } from '../cache/clock/mirror.ts';
import { slotsOf } from '../cache/clock/slots.ts';
import { clockAt } from '../cache/clock/wire.ts';
import { systemNow, systemTime } from '../platform/clock.ts';
import { Failure } from '../platform/failure.ts';
import { hedged } from '../platform/hedge.ts';
import { log } from '../platform/logger.ts';
import { type RequestPlace, regionOf } from '../platform/regions.ts';
import type { Env } from './env.ts';
import { regionalClock, rootClock } from './objects.ts';

type ClockEnv = Pick<Env, 'TAG_CLOCK'>;

/**
 * Invalidates every answer that depends on one of the tags. Returns once the root clock has it on disk.
 *
 * @throws Failure `clock_unavailable`
 */
export async function invalidateTags(env: ClockEnv, tags: readonly string[]): Promise<Token> {
  try {
    return await rootClock(env).invalidate(slotsOf(tags));
  } catch (error) {
    throw new Failure('clock_unavailable', 'The tag clock does not answer.', {
      retryAfterS: 1,
      cause: error,
    });
  }
}

/** The root is asked as well if a regional clock has not answered after this long, in milliseconds. */
const HEDGE_MS = 250;
/** How long the root alone is asked after a regional clock was too slow, in milliseconds. */
const SLOW_MS = 5_000;
/** Until when each region counts as slow, milliseconds since the Unix epoch. */
const slowUntilMs = new Map<string, number>();

/** Syncs with the clock of the region that a request came from; with the root if that clock does not answer in time. */
export async function syncFrom(
  env: ClockEnv,
  place: RequestPlace,
  request: SyncRequest,
): Promise<SyncAnswer> {
  const region = regionOf(place);
  const root = () => clockAt(rootClock(env)).sync(request);
  if ((slowUntilMs.get(region) ?? 0) > systemNow()) return await root();
  const regional = () => clockAt(regionalClock(env, region)).sync(request);
  const { answer, by } = await hedged(regional, root, HEDGE_MS, systemTime);
  if (by === 'second') {
    slowUntilMs.set(region, systemNow() + SLOW_MS);
    const message = 'A regional clock does not answer in time. The root is asked instead for a while.';
    log('warn', message, { 'event.action': 'clock-sync', region, 'millrace.for_ms': SLOW_MS });
  }
  return answer;
}
