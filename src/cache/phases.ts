import type { Time } from '../platform/clock.ts';
import { PHASE_BOUND_MS, type PhaseState, type PhaseStates } from '../platform/phases.ts';
import type { ClockFollower, FollowerContext, FreshnessNeed } from './clock/follower.ts';

const NEED: FreshnessNeed = { maxAgeMs: PHASE_BOUND_MS, atLeast: undefined };

/**
 * How long a request waits for a slow clock, in milliseconds, before the last known states hold. An isolate that has never
 * reached the clock knows none, and waits as long as its readers do.
 */
const WAIT_MS = 500;

/**
 * The states of the phases, at most `PHASE_BOUND_MS` old. The clock's mirror carries them, so they cost no call of their
 * own: an isolate that syncs for its readers knows them. If the clock does not answer, the last known states hold.
 */
export function phasesOf(
  follower: ClockFollower,
  context: FollowerContext,
  time: Pick<Time, 'withTimeout'>,
): PhaseStates | Promise<PhaseStates> {
  const known = () => follower.mirror.clock.phases.states;
  if (follower.isReady(NEED, context)) return known();
  const isKnown = follower.mirror.clock.epoch !== '';
  const syncing = follower.follow(NEED, follower.begin(), context);
  const late = () => new Error(`The clock did not answer within ${WAIT_MS} ms.`);
  return (isKnown ? time.withTimeout(syncing, WAIT_MS, late) : syncing).then(known, known);
}

/**
 * The state of the cache without waiting, for a reader whose mirror is `mirrorMs` old at most; undefined if that is too old
 * to tell.
 */
export function cacheStateNow(
  follower: ClockFollower,
  context: FollowerContext,
  mirrorMs: number,
): PhaseState | undefined {
  if (mirrorMs > PHASE_BOUND_MS && !follower.isReady(NEED, context)) return undefined;
  return follower.mirror.clock.phases.states.cache;
}

/** Why a read went past the cache, as `Cache-Status` names it. */
export type PhaseDetail = 'phase-degraded' | 'phase-off';
