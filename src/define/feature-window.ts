/**
 * How far back a feature looks: minutes (`30m`), hours (`24h`), days (`7d`), years of 365 days (`2y`), or `lifetime`.
 * A window consists of whole tiles, the last of which is the one that `now` is in.
 */
export type Window = `${number}${'m' | 'h' | 'd' | 'y'}` | 'lifetime';

/** A window in tiles: `tiles` of `tileMs` each, counted from the Unix epoch. `lifetime` has one tile without a length. */
export interface TiledWindow {
  readonly tileMs: number;
  readonly tiles: number;
}

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
export const DAY_MS = 86_400_000;
/** The width of the tiles for `lifetime`. */
export const NO_TILE = 0;

/** For each unit the width of its tiles, and the longest window, so that a key has at most some hundred rows for it. */
const UNITS = {
  m: { unitMs: MINUTE_MS, tileMs: MINUTE_MS, max: 180 },
  h: { unitMs: 60 * MINUTE_MS, tileMs: 15 * MINUTE_MS, max: 72 },
  d: { unitMs: DAY_MS, tileMs: DAY_MS, max: 731 },
  y: { unitMs: 365 * DAY_MS, tileMs: 5 * DAY_MS, max: 10 },
} as const;

const SPAN = /^([1-9]\d{0,3})([mhdy])$/;
const SECONDS = /^([1-9]\d{0,3})s$/;

/** A number of days, with fractions, in whole milliseconds. */
export function daysMs(days: number): number {
  return Math.round(days * DAY_MS);
}

export const WINDOWS_ALLOWED = `1m to ${UNITS.m.max}m, 1h to ${UNITS.h.max}h, 1d to ${UNITS.d.max}d, 1y to ${UNITS.y.max}y, or lifetime`;

/** The tiles of a window; undefined if it is not allowed. */
export function tiledWindow(window: string): TiledWindow | undefined {
  if (window === 'lifetime') return { tileMs: NO_TILE, tiles: 0 };
  const [, count, letter] = SPAN.exec(window) ?? [];
  if (count === undefined || !isUnit(letter) || Number(count) > UNITS[letter].max) return undefined;
  const { unitMs, tileMs } = UNITS[letter];
  return { tileMs, tiles: (Number(count) * unitMs) / tileMs };
}

/** A length of time such as `7d`: the units of windows, and seconds (`30s`). */
export type Span = Exclude<Window, 'lifetime'> | `${number}s`;

/** A length of time in milliseconds, without limits; undefined if it is none. */
export function spanMs(span: string): number | undefined {
  const [, seconds] = SECONDS.exec(span) ?? [];
  if (seconds !== undefined) return Number(seconds) * SECOND_MS;
  const [, count, letter] = SPAN.exec(span) ?? [];
  return count === undefined || !isUnit(letter) ? undefined : Number(count) * UNITS[letter].unitMs;
}

function isUnit(letter: string | undefined): letter is keyof typeof UNITS {
  return letter !== undefined && letter in UNITS;
}
