import type { Token } from '../cache/clock/clock.ts';
import type { SyncAnswer, SyncRequest } from '../cache/clock/mirror.ts';
import type { RegionHedge } from '../cache/clock/region-hedge.ts';
import { clockAt, type RemoteClock } from '../cache/clock/wire.ts';
import { hashesToInvalidate } from '../cache/entry.ts';
import { Failure } from '../platform/failure.ts';
import { log } from '../platform/logger.ts';
import { countBytes, type Peer } from '../platform/peer.ts';
import type { RequestPlace } from '../platform/regions.ts';
import { databaseRegion } from './config.ts';
import type { Env } from './env.ts';
import { type DatabasePlace, regionalClock, rootClock } from './objects.ts';
import { readerRegion } from './placement.ts';

type ClockEnv = Pick<Env, 'TAG_CLOCK'> & DatabasePlace;

/**
 * Invalidates every answer that depends on one of the tags. Returns once the root clock has it on disk.
 *
 * @throws Failure `clock_unavailable`
 */
export async function invalidateTags(env: ClockEnv, tags: readonly string[]): Promise<Token> {
  try {
    return await rootClock(env).invalidateTags(hashesToInvalidate(tags));
  } catch (error) {
    throw clockUnavailable(error);
  }
}

/**
 * Begins a new epoch of the clock. Returns once the root clock has it on disk.
 *
 * @throws Failure `clock_unavailable`
 */
export async function beginEpoch(env: ClockEnv): Promise<Token> {
  try {
    return await rootClock(env).beginEpoch();
  } catch (error) {
    throw clockUnavailable(error);
  }
}

/** A clock whose answers to syncs are counted in bytes. */
function counted(peer: Peer, clock: RemoteClock): RemoteClock {
  return {
    sync: async (request) => {
      const answer = await clock.sync(request);
      countBytes(peer, answer.byteLength);
      return answer;
    },
  };
}

export function clockUnavailable(cause?: unknown): Failure {
  return new Failure('clock_unavailable', 'The tag clock does not answer.', { retryAfterS: 1, cause });
}

/** Syncs with the clock of the region that a request came from; with the root if that clock does not answer in time. */
export async function syncFrom(
  env: ClockEnv,
  regions: RegionHedge,
  place: RequestPlace,
  request: SyncRequest,
): Promise<SyncAnswer> {
  const region = readerRegion(place, databaseRegion(env));
  return await regions.sync(
    region,
    () => clockAt(counted('regional-clock', regionalClock(env, region))).sync(request),
    () => clockAt(counted('root-clock', rootClock(env))).sync(request),
    (forMs) => {
      const message =
        'A regional clock did not answer in time. This isolate asks the root clock instead for a while.';
      log('warn', message, {
        'event.action': 'clock-sync',
        'millrace.region': region,
        'millrace.for_ms': forMs,
      });
    },
  );
}
