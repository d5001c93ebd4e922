/**
 * Timestamps and dates as Postgres stores them: microseconds and days since 2000-01-01, in the proleptic Gregorian
 * calendar. The two infinities are the extremes of a 64-bit or a 32-bit integer, so they sort as numbers, too.
 */

const MICROSECONDS_PER_DAY = 86_400_000_000n;
/** `MIN_TIMESTAMP` and `END_TIMESTAMP` (exclusive) in Postgres' `datatype/timestamp.h`. */
const TIMESTAMP_MIN = -211_813_488_000_000_000n;
const TIMESTAMP_END = 9_223_371_331_200_000_000n;
/** Julian days 0 and 2,147,483,494 (exclusive), counted from 2000-01-01. */
const DATE_MIN = -2_451_545n;
const DATE_END = 2_145_031_949n;

/** The integers that represent `-infinity` and `infinity`. */
const INFINITIES = {
  timestamp: { '-infinity': -(2n ** 63n), infinity: 2n ** 63n - 1n },
  date: { '-infinity': -(2n ** 31n), infinity: 2n ** 31n - 1n },
} as const;

export type TimeType = keyof typeof INFINITIES;

const TEXT =
  /^(\d{4,7})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?(Z|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)?)?( BC)?$/;

/**
 * Microseconds of a timestamp, or days of a date, from the text that Postgres writes under `DateStyle` ISO or from RFC
 * 3339. Without an offset the text is UTC.
 *
 * @param isZoned false for a timestamp without time zone, which accepts no offset: Postgres would ignore it.
 * @returns undefined for an invalid text.
 */
export function timeFromText(type: TimeType, text: string, isZoned: boolean): bigint | undefined {
  if (text === 'infinity' || text === '-infinity') return INFINITIES[type][text];
  const parts = TEXT.exec(text);
  if (parts === null) return undefined;
  const [, year = '', month = '', day = '', hour, minute = '0', second = '0', fraction = '', offset, era] =
    parts;
  if ((type === 'date' && hour !== undefined) || (offset !== undefined && !isZoned)) return undefined;
  const astronomical = era === undefined ? Number(year) : 1 - Number(year);
  const days = daysFromCivil(astronomical, Number(month), Number(day));
  if (days === undefined || Number(year) === 0) return undefined;
  if (type === 'date') return inRange(type, BigInt(days));
  const [h, m, s] = [Number(hour ?? 0), Number(minute), Number(second)];
  if (h > 23 || m > 59 || s > 59) return undefined;
  const seconds = BigInt(h * 3_600 + m * 60 + s) - offsetSeconds(offset);
  return inRange(
    type,
    BigInt(days) * MICROSECONDS_PER_DAY + seconds * 1_000_000n + BigInt(fraction.padEnd(6, '0')),
  );
}

/** The same from a `Date`, which is exact to the millisecond. @returns undefined for an invalid one. */
export function timeFromDate(type: TimeType, date: Date): bigint | undefined {
  const ms = date.getTime();
  if (Number.isNaN(ms)) return undefined;
  const microseconds = (BigInt(ms) - BigInt(Date.UTC(2000, 0, 1))) * 1_000n;
  return inRange(type, type === 'timestamp' ? microseconds : floorDiv(microseconds, MICROSECONDS_PER_DAY)[0]);
}

/** Whether the type has a value that is stored as this integer. */
export function isTime(type: TimeType, value: bigint): boolean {
  return inRange(type, value) !== undefined;
}

/** A text that Postgres reads as the stored value under any `DateStyle` and time zone. */
export function timeToText(type: TimeType, value: bigint): string {
  const { infinity, '-infinity': negative } = INFINITIES[type];
  if (value === infinity || value === negative) return value === infinity ? 'infinity' : '-infinity';
  const [days, rest] = type === 'date' ? [value, 0n] : floorDiv(value, MICROSECONDS_PER_DAY);
  const { year, month, day } = civilFromDays(Number(days));
  const civil = `${padded(year > 0 ? year : 1 - year, 4)}-${padded(month, 2)}-${padded(day, 2)}`;
  const era = year > 0 ? '' : ' BC';
  if (type === 'date') return civil + era;
  const [seconds, microseconds] = floorDiv(rest, 1_000_000n);
  const time = [seconds / 3_600n, (seconds / 60n) % 60n, seconds % 60n]
    .map((part) => padded(part, 2))
    .join(':');
  return `${civil} ${time}.${padded(microseconds, 6)}+00${era}`;
}

/**
 * A timestamp as answers show it: RFC 3339 in UTC with milliseconds, or with microseconds if it has some. Years that RFC
 * 3339 cannot represent have the expanded form of ISO 8601 §4.1.2.4 (`+012026-…`; `-000043-…` is 44 BC), and the two
 * infinities of Postgres are `infinity` and `-infinity`.
 *
 * @param text as Postgres writes it under `DateStyle` ISO, with or without an offset.
 * @throws RangeError for a text that is no timestamp.
 */
export function timestampText(text: string): string {
  const value = timeFromText('timestamp', text, true);
  if (value === undefined) throw new RangeError(`"${text.slice(0, 64)}" is not a timestamp of Postgres.`);
  const { infinity, '-infinity': negative } = INFINITIES.timestamp;
  if (value === infinity || value === negative) return value === infinity ? 'infinity' : '-infinity';
  const [days] = floorDiv(value, MICROSECONDS_PER_DAY);
  const { year } = civilFromDays(Number(days));
  const [, date = '', time = '', fraction = ''] =
    /^\d+(-\d\d-\d\d) ([\d:]{8})\.(\d{6})/.exec(timeToText('timestamp', value)) ?? [];
  const isPlain = year >= 0 && year <= 9_999;
  const sign = year < 0 ? '-' : '+';
  const shown = isPlain ? padded(year, 4) : `${sign}${padded(Math.abs(year), 6)}`;
  return `${shown}${date}T${time}.${fraction.endsWith('000') ? fraction.slice(0, 3) : fraction}Z`;
}

function inRange(type: TimeType, value: bigint): bigint | undefined {
  const [min, end] = type === 'timestamp' ? [TIMESTAMP_MIN, TIMESTAMP_END] : [DATE_MIN, DATE_END];
  const isInfinite = Object.values(INFINITIES[type]).includes(value);
  return isInfinite || (value >= min && value < end) ? value : undefined;
}

function offsetSeconds(offset: string | undefined): bigint {
  if (offset === undefined || offset === 'Z') return 0n;
  const [hours = '0', minutes = '0', seconds = '0'] =
    offset.slice(1).replaceAll(':', '').match(/\d\d/g) ?? [];
  const total = BigInt(hours) * 3_600n + BigInt(minutes) * 60n + BigInt(seconds);
  return offset.startsWith('-') ? -total : total;
}

/** The Gregorian calendar repeats every 400 years. Years count from 0000-03-01, so that a leap day ends its year. */
const CYCLE_DAYS = 146_097;
const FROM_MARCH_OF_YEAR_0 = 730_425;

/** Howard Hinnant, "chrono-compatible low-level date algorithms". Year 0 is 1 BC. */
function daysFromCivil(year: number, month: number, day: number): number | undefined {
  const shifted = month > 2 ? year : year - 1;
  const cycle = Math.floor(shifted / 400);
  const yearOfCycle = shifted - cycle * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfCycle =
    yearOfCycle * 365 + Math.floor(yearOfCycle / 4) - Math.floor(yearOfCycle / 100) + dayOfYear;
  const days = cycle * CYCLE_DAYS + dayOfCycle - FROM_MARCH_OF_YEAR_0;
  const back = civilFromDays(days);
  return back.year === year && back.month === month && back.day === day ? days : undefined;
}

function civilFromDays(days: number): { year: number; month: number; day: number } {
  const shifted = days + FROM_MARCH_OF_YEAR_0;
  const cycle = Math.floor(shifted / CYCLE_DAYS);
  const dayOfCycle = shifted - cycle * CYCLE_DAYS;
  const yearOfCycle = Math.floor(
    (dayOfCycle -
      Math.floor(dayOfCycle / 1_460) +
      Math.floor(dayOfCycle / 36_524) -
      Math.floor(dayOfCycle / 146_096)) /
      365,
  );
  const dayOfYear =
    dayOfCycle - (365 * yearOfCycle + Math.floor(yearOfCycle / 4) - Math.floor(yearOfCycle / 100));
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
  return {
    year: yearOfCycle + cycle * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1,
  };
}

function floorDiv(value: bigint, by: bigint): [quotient: bigint, rest: bigint] {
  const rest = ((value % by) + by) % by;
  return [(value - rest) / by, rest];
}

function padded(value: number | bigint, digits: number): string {
  return String(value).padStart(digits, '0');
}
