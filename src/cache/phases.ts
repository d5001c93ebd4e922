import { PHASE_BOUND_MS, type PhaseState, type PhaseStates } from '../platform/phases.ts';
import type { ClockFollower, FollowerContext, FreshnessNeed } from './clock/follower.ts';

const NEED: FreshnessNeed = { maxAgeMs: PHASE_BOUND_MS, atLeast: undefined };

/**
 * The states of the phases, at most `PHASE_BOUND_MS` old. The clock's mirror carries them, so they cost no call of their
 * own: an isolate that syncs for its readers knows them. If the clock does not answer, the last known states hold.
 */
export function phasesOf(
  follower: ClockFollower,
  context: FollowerContext,
): PhaseStates | Promise<PhaseStates> {
  const known = () => follower.mirror.clock.phases.states;
  if (follower.isReady(NEED, context)) return known();
  return follower.follow(NEED, follower.begin(), context).then(known, known);
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
