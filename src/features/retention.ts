import type { FeatureDefinition } from '../define/feature.ts';
import { BUCKET_MS } from './fold.ts';

/**
 * Days that cells are kept beyond the longest window of their feature. A caller's clock may be behind the shard's by
 * as much, and a sweep is repeated every day.
 */
export const READ_BEHIND_DAYS = 2;

/** The earliest day as of which a shard still answers, at this moment. It only ever advances. */
export function horizonOf(now: number): number {
  return Math.floor(now / BUCKET_MS) - READ_BEHIND_DAYS;
}

/** The longest window of a feature, in days; 0 for a feature without windows, whose cells are kept for ever. */
export function longestWindow({ windowsDays }: Pick<FeatureDefinition, 'windowsDays'>): number {
  return Math.max(0, ...windowsDays);
}

/**
 * The oldest day of a feature that a read as of the horizon, or of any later day, can need. Cells of earlier days are
 * expired: no read needs them, and an event that arrives with such a day adds nothing to them.
 */
export function oldestDay(longestDays: number, horizon: number): number {
  return longestDays === 0 ? 0 : horizon - longestDays + 1;
}

/** The days whose cells a read as of `now` needs; day 0 has all cells of a feature without windows. */
export function daysRead(longestDays: number, now: number): { readonly from: number; readonly to: number } {
  if (longestDays === 0) return { from: 0, to: 0 };
  const today = Math.floor(now / BUCKET_MS);
  return { from: today - longestDays + 1, to: today };
}
