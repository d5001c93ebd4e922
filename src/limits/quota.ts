import type { Answer } from './bucket.ts';
import type { QuotaPeriod, QuotaPolicy } from './policy.ts';

/** The calendar day or month of a moment, in UTC: `2026-11-28` or `2026-11`. */
export function periodOf(period: QuotaPeriod, nowMs: number): string {
  return new Date(nowMs).toISOString().slice(0, period === 'day' ? 10 : 7);
}

/** When the next day or month begins, in milliseconds since the Unix epoch. */
export function nextPeriodMs(period: QuotaPeriod, nowMs: number): number {
  const now = new Date(nowMs);
  const [year, month, day] = [now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate()];
  return period === 'day' ? Date.UTC(year, month, day + 1) : Date.UTC(year, month + 1, 1);
}

/** The answer to a question about a quota of which `used` units are used, those of the question included. */
export function quotaAnswer({ units, period }: QuotaPolicy, used: number, nowMs: number): Answer {
  const remaining = Math.max(0, units - used);
  return { granted: 0, refusedForMs: remaining > 0 ? 0 : nextPeriodMs(period, nowMs) - nowMs, remaining };
}
