import type { Tallies } from './tally.ts';

/**
 * Counts are kept in buckets of three widths, so that a short window is precise and a long one has few rows. A window
 * consists of whole buckets and the bucket that has begun, like the windows of the cache.
 */
export const WINDOWS = {
  '5m': { minutes: 5, width: 1 },
  '1h': { minutes: 60, width: 1 },
  '24h': { minutes: 1_440, width: 15 },
  '7d': { minutes: 10_080, width: 360 },
} as const;
export type WindowName = keyof typeof WINDOWS;
export const WINDOW_NAMES = Object.keys(WINDOWS) as readonly WindowName[];

/** The width of the buckets that a window is compared with, in minutes. They end before the window begins. */
const REFERENCE_WIDTH = 360;
/** The length of the reference, in its buckets: seven days, so that each weekday counts once. */
const REFERENCE_BUCKETS = 28;

/** The widths of buckets in minutes, and how many of each are kept for the longest window or its reference. */
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

/** The buckets that a window is compared with: whole buckets before it. */
export function referenceSpanOf(window: WindowName, minute: number): Span {
  const { width, from } = spanOf(window, minute);
  const to = Math.floor((from * width) / REFERENCE_WIDTH) - 1;
  return { width: REFERENCE_WIDTH, from: to - REFERENCE_BUCKETS + 1, to };
}

/** The oldest bucket of a width that is still needed. */
export function oldestKept({ width, kept }: (typeof WIDTHS)[number], minute: number): number {
  return Math.floor(minute / width) - kept + 1;
}

/** The counts of each window and of its reference, and the totals of all time. */
export interface QualityCounts {
  readonly windows: Readonly<Record<WindowName, Tallies>>;
  readonly references: Readonly<Record<WindowName, Tallies>>;
  readonly totals: Tallies;
}
