import type { FeatureDefinition } from '../define/feature.ts';
import { DAY_MS, NO_TILE, type TiledWindow } from '../define/feature-window.ts';

/** The width of the tiles of most features, and the unit of expiry, in milliseconds: a day. */
export const BUCKET_MS = DAY_MS;

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
 * expired: no read needs them, and an event that arrives with such a day adds nothing to them. Both may be counted in
 * tiles of another width.
 */
export function oldestDay(longestDays: number, horizon: number): number {
  return longestDays === 0 ? 0 : horizon - longestDays + 1;
}

/** The oldest tile that a read as of the horizon, a day, or of any later moment can need. */
export function oldestTile({ tileMs, tiles }: TiledWindow, horizon: number): number {
  return tileMs === NO_TILE ? 0 : oldestDay(tiles, Math.floor((horizon * BUCKET_MS) / tileMs));
}

/**
 * The tiles that have expired between the horizon of the last sweep and this one, or up to this one if there was none:
 * from `from` up to but not including `until`. Cells of a feature without windows do not expire.
 */
export function expiredTiles(
  window: TiledWindow,
  { cleaned, horizon }: { readonly cleaned: number; readonly horizon: number },
): { readonly from: number; readonly until: number } {
  if (window.tileMs === NO_TILE) return { from: 0, until: 0 };
  const until = oldestTile(window, horizon);
  return { from: cleaned === 0 ? Number.MIN_SAFE_INTEGER : oldestTile(window, cleaned), until };
}

/** The tiles whose cells a read as of `now` needs; tile 0 has all cells of a feature without windows. */
export function tilesRead(
  { tileMs, tiles }: TiledWindow,
  now: number,
): { readonly from: number; readonly to: number } {
  return daysRead(tiles, now, tileMs);
}

/** The days, or tiles of another width, whose cells a read as of `now` needs. */
export function daysRead(
  longestDays: number,
  now: number,
  tileMs = BUCKET_MS,
): { readonly from: number; readonly to: number } {
  if (longestDays === 0) return { from: 0, to: 0 };
  const today = Math.floor(now / tileMs);
  return { from: today - longestDays + 1, to: today };
}
