import type { Tallies } from './tally.ts';

/**
 * What is counted is kept in buckets of three widths, so that a short window is sharp and a long one is few rows.
 * A window is of so many whole buckets and the one that has begun, as the cache's are.
 */
export const WINDOWS = {
  '5m': { minutes: 5, width: 1 },
  '1h': { minutes: 60, width: 1 },
  '24h': { minutes: 1_440, width: 15 },
  '7d': { minutes: 10_080, width: 360 },
} as const;
export type WindowName = keyof typeof WINDOWS;
export const WINDOW_NAMES = Object.keys(WINDOWS) as readonly WindowName[];

/** What a window is compared with: the buckets of this width, in minutes, that end before it begins. */
const REFERENCE_WIDTH = 360;
/** How far the reference reaches back from there, in its buckets: seven days, so that each weekday counts once. */
const REFERENCE_BUCKETS = 28;

/** The widths of buckets in minutes, and how many of each are kept: the longest window, or the reference before it. */
export const WIDTHS: readonly { readonly width: number; readonly kept: number }[] = [
  { width: 1, kept: 61 },
  { width: 15, kept: 97 },
  { width: 360, kept: 29 + REFERENCE_BUCKETS },
];

/** Buckets `from` to `to`, both included, of one width. */
export interface Span {
  readonly width: number;
  readonly from: number;
  readonly to: number;
}

/** The buckets of a window that ends now. */
export function spanOf(window: WindowName, minute: number): Span {
  const { minutes, width } = WINDOWS[window];
  const to = Math.floor(minute / width);
  return { width, from: to - minutes / width, to };
}

/** The buckets that a window is compared with: whole ones, all of them before it. */
export function referenceSpanOf(window: WindowName, minute: number): Span {
  const { width, from } = spanOf(window, minute);
  const to = Math.floor((from * width) / REFERENCE_WIDTH) - 1;
  return { width: REFERENCE_WIDTH, from: to - REFERENCE_BUCKETS + 1, to };
}

/** The oldest bucket of a width that is still needed. */
export function oldestKept({ width, kept }: (typeof WIDTHS)[number], minute: number): number {
  return Math.floor(minute / width) - kept + 1;
}

/** What the object tells: of each window, and of what it is compared with; and since ever. */
export interface QualityCounts {
  readonly windows: Readonly<Record<WindowName, Tallies>>;
  readonly references: Readonly<Record<WindowName, Tallies>>;
  readonly totals: Tallies;
}
