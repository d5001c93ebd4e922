/** RFC 3339 §5.6; `T` and `Z` may be lower case, and a fraction may have any number of digits. */
const TIMESTAMP =
  /^(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(\.\d{1,32})?(?:[Zz]|([+-])(\d{2}):(\d{2}))$/;

/**
 * Parses an RFC 3339 timestamp. A leap second (`23:59:60` in UTC) is the first moment of the next day, because time
 * since the epoch has no leap seconds. Digits beyond the millisecond are dropped.
 *
 * @returns milliseconds since the Unix epoch, or undefined for a text that is no timestamp.
 */
export function parseTimestamp(text: string): number | undefined {
  const match = TIMESTAMP.exec(text);
  if (match === null) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1, 7).map(Number);
  const [fraction, sign, offsetHour, offsetMinute] = match.slice(7);
  const offset = [Number(offsetHour ?? 0), Number(offsetMinute ?? 0)] as const;
  if (hour > 23 || minute > 59 || second > 60 || offset[0] > 23 || offset[1] > 59) return undefined;
  const date = new Date(0);
  // `Date.UTC` would read the years 0 to 99 as 1900 to 1999.
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  const isLeapSecond = second === 60;
  date.setUTCHours(hour, minute, isLeapSecond ? 59 : second, isLeapSecond ? 0 : milliseconds(fraction));
  const shift = (sign === '-' ? 1 : -1) * (offset[0] * 60 + offset[1]) * 60_000;
  const time = date.getTime() + shift;
  if (!isLeapSecond) return time;
  const isEndOfDay = (time + 1_000) % 86_400_000 === 0;
  return isEndOfDay ? time + 1_000 : undefined;
}

function milliseconds(fraction = ''): number {
  return Number(fraction.slice(1, 4).padEnd(3, '0'));
}
