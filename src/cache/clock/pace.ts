import { OBJECT_REQUESTS_PER_SECOND } from '../../platform/limits.ts';

/** Shortest pause between two background syncs of one isolate, in milliseconds: an idle region bears it. */
export const ASK_AGAIN_MS_MIN = 50;
/** Longest one: half of the default bound, so that background syncs alone keep a bounded reader within it. */
export const ASK_AGAIN_MS_MAX = 1_000;
/**
 * Longest pause between two background syncs of a region, in milliseconds. Ages add up: with the isolates' own
 * pause and both journeys it has to stay within the default bound of two seconds.
 */
export const ROOT_ASK_AGAIN_MS_MAX = 500;
/** Syncs a second that a clock aims at: well below what an object answers. */
export const SYNCS_PER_SECOND_TARGET = OBJECT_REQUESTS_PER_SECOND / 5;
/** How long syncs are counted before the pace is set anew, in milliseconds. */
const PERIOD_MS = 1_000;

/** How busy a clock is, and how soon its mirrors may ask again. */
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
 * Counts one sync. With n mirrors that all wait `askAgainMs`, the load is n / askAgainMs: so the pause that
 * brings it to the target is the present one times the load over the target.
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
