import { OBJECT_REQUESTS_PER_SECOND } from '../../platform/limits.ts';

/** Shortest pause between two background syncs of one isolate, in milliseconds, while its region is idle. */
export const ASK_AGAIN_MS_MIN = 50;
/** Longest such pause: half the default bound, so that background syncs alone keep bounded readers within it. */
export const ASK_AGAIN_MS_MAX = 1_000;
/**
 * Longest pause between two background syncs of a region, in milliseconds. Ages add up along the tree: with the
 * isolates' own pause and both round trips, the sum has to stay within the default bound of two seconds.
 */
export const ROOT_ASK_AGAIN_MS_MAX = 500;
/** Syncs per second that a clock aims at: well below the number of requests that an object handles. */
export const SYNCS_PER_SECOND_TARGET = OBJECT_REQUESTS_PER_SECOND / 5;
/** Period over which syncs are counted before the pause is adjusted, in milliseconds. */
const PERIOD_MS = 1_000;

/** The load of a clock, and the pause that it asks of its mirrors. */
export interface Pace {
  readonly askAgainMs: number;
  readonly askAgainMsMax: number;
  readonly periodStartMs: number;
  readonly syncs: number;
}

export function newPace(nowMs: number, askAgainMsMax: number = ASK_AGAIN_MS_MAX): Pace {
  return { askAgainMs: ASK_AGAIN_MS_MIN, askAgainMsMax, periodStartMs: nowMs, syncs: 0 };
}

/**
 * Counts one sync. The load of n mirrors that each wait `askAgainMs` is n / askAgainMs. The pause that brings the
 * load to the target is therefore the present pause times the load divided by the target.
 */
export function countSync(pace: Pace, nowMs: number): Pace {
  const elapsedMs = nowMs - pace.periodStartMs;
  const syncs = pace.syncs + 1;
  if (elapsedMs < PERIOD_MS) return { ...pace, syncs };
  const perSecond = (syncs * 1_000) / elapsedMs;
  const wanted = (pace.askAgainMs * perSecond) / SYNCS_PER_SECOND_TARGET;
  const askAgainMs = Math.round(Math.min(pace.askAgainMsMax, Math.max(ASK_AGAIN_MS_MIN, wanted)));
  return { ...pace, askAgainMs, periodStartMs: nowMs, syncs: 0 };
}
