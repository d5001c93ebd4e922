import type { Random } from './random.ts';

export const MILLISECONDS_PER_DAY = 86_400_000;
const MILLISECONDS_PER_MINUTE = 60_000;

/** Sales by weekday, Sunday first: the shop is closed on Saturdays. */
const WEEKDAYS: readonly number[] = [0.78, 0.97, 0.98, 0.95, 1.05, 0.76, 0];
/** Sales by month, January first: quiet in winter, three times as busy before Christmas. */
const MONTHS: readonly number[] = [0.75, 0.76, 0.9, 0.85, 0.9, 0.95, 0.85, 0.85, 1.15, 1.5, 2.1, 1.7];
/** The shop grows by this share from the first day of the period to the last. */
const GROWTH = 0.25;
/** The minute at which the shop opens, the busiest one, and that at which it closes. */
const OPENS_AT = 7 * 60 + 30;
const BUSIEST_AT = 12 * 60 + 45;
const CLOSES_AT = 20 * 60;
const HOURS_DEVIATION = 130;

export interface Day {
  /** Counted from 0. */
  readonly index: number;
  /** Midnight, milliseconds since the Unix epoch. */
  readonly startsAt: number;
  /** January is 1. */
  readonly month: number;
  /** Expected sales relative to other days; 0 while the shop is closed. */
  readonly weight: number;
}

/** The days of the months that end at `until`, the last of them the day of `until` itself. */
export function daysUntil(until: number, months: number): Day[] {
  const end = new Date(until);
  const first = Date.UTC(end.getUTCFullYear(), end.getUTCMonth() - months, end.getUTCDate());
  const last = Date.UTC(end.getUTCFullYear(), end.getUTCMonth(), end.getUTCDate());
  const count = Math.round((last - first) / MILLISECONDS_PER_DAY) + 1;
  return Array.from({ length: count }, (_, index) => {
    const startsAt = first + index * MILLISECONDS_PER_DAY;
    const date = new Date(startsAt);
    const month = date.getUTCMonth() + 1;
    const busy =
      (WEEKDAYS[date.getUTCDay()] ?? 0) * (MONTHS[month - 1] ?? 0) * (1 + (GROWTH * index) / count);
    const open = isHoliday(month, date.getUTCDate()) ? 0 : openShare(startsAt, until);
    return { index, startsAt, month, weight: busy * open };
  });
}

/** From Christmas Eve to New Year's Day the shop is closed. */
function isHoliday(month: number, day: number): boolean {
  return (month === 12 && day >= 24) || (month === 1 && day === 1);
}

/** The part of the opening hours of a day that lies before `until`. */
function openShare(startsAt: number, until: number): number {
  const minutes = (until - startsAt) / MILLISECONDS_PER_MINUTE - OPENS_AT;
  return Math.min(1, Math.max(0, minutes / (CLOSES_AT - OPENS_AT)));
}

/** A full minute of the opening hours, most likely around noon and never after `until`. */
export function openingTime(day: Day, until: number, random: Random): number {
  const last = Math.min(CLOSES_AT, Math.floor((until - day.startsAt) / MILLISECONDS_PER_MINUTE));
  let minute = BUSIEST_AT + random.normal() * HOURS_DEVIATION;
  // What falls outside is spread evenly: cutting it off would pile it up at the doors.
  if (minute < OPENS_AT || minute > last) minute = OPENS_AT + random.fraction() * (last - OPENS_AT);
  return day.startsAt + Math.floor(minute) * MILLISECONDS_PER_MINUTE;
}
