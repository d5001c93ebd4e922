import type { Token } from '../cache/clock/clock.ts';
import type { SyncAnswer, SyncRequest } from '../cache/clock/mirror.ts';
import { slotsOf } from '../cache/clock/slots.ts';
import { clockAt } from '../cache/clock/wire.ts';
import { Failure } from '../platform/failure.ts';
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

/** Syncs with the clock of the region that a request came from; with the root while that clock does not answer. */
export async function syncFrom(
  env: ClockEnv,
  place: RequestPlace,
  request: SyncRequest,
): Promise<SyncAnswer> {
  const region = regionOf(place);
  try {
    return await clockAt(regionalClock(env, region)).sync(request);
  } catch (error) {
    const message = 'A regional clock does not answer. The root is asked instead.';
    log('warn', message, { 'event.action': 'clock-sync', region }, error);
    return await clockAt(rootClock(env)).sync(request);
  }
}
