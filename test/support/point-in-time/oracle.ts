import type { AsOfRequest, RecordedEvent } from '../../../src/features/point-in-time.ts';
import type { Visit } from './history.ts';

/**
 * The naive join: for each request it goes through all events, and computes each value from those that count. It shares
 * no code with the folds, the windows or the join.
 */

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const UNIT_MS: Readonly<Record<string, number>> = {
  m: MINUTE_MS,
  h: 60 * MINUTE_MS,
  d: DAY_MS,
  y: 365 * DAY_MS,
};
const TILE_MS: Readonly<Record<string, number>> = {
  m: MINUTE_MS,
  h: 15 * MINUTE_MS,
  d: DAY_MS,
  y: 5 * DAY_MS,
};

export interface Expected {
  readonly value: unknown;
  readonly status: string;
  readonly eventAt: number | null;
}

/** The events that count for a request. */
export function countingEvents(
  all: readonly RecordedEvent[],
  { entity, key, at, known, isBefore = false }: AsOfRequest,
): RecordedEvent[] {
  return all.filter(({ occurredAt, recordedAt, data }) => {
    const { guests, room } = data as Visit;
    if (!(entity === 'customer' ? guests : [room]).includes(key)) return false;
    if (isBefore ? occurredAt >= at : occurredAt > at) return false;
    if (known !== undefined) return recordedAt <= known;
    return isBefore ? recordedAt < at : recordedAt <= at;
  });
}

/** The values that the oracle computes, by their read names. */
export function expectedOf(all: readonly RecordedEvent[], request: AsOfRequest): Record<string, Expected> {
  const counting = countingEvents(all, request).sort((a, b) => a.occurredAt - b.occurredAt || a.seq - b.seq);
  const { at } = request;
  if (request.entity === 'product')
    return { visits_1h: ofWindow(counting, '1h', '1h', at, ({ length }) => length) };
  const cents = (of: readonly RecordedEvent[]) =>
    of.flatMap(({ data }) =>
      (data as Visit).paid === null ? [] : [Math.round(Number((data as Visit).paid) * 100)],
    );
  const rooms = (of: readonly RecordedEvent[]) => of.map(({ data }) => (data as Visit).room);
  const aged = ofWindow(counting, '7d', '7d', at, (of) => rooms(of).at(-1) ?? null);
  const last = counting.at(-1)?.occurredAt ?? null;
  const whole = (value: unknown): Expected => ({
    value,
    status: last === null ? 'NOT_FOUND' : 'PRESENT',
    eventAt: last,
  });
  return {
    ...Object.fromEntries(
      ['30m', '6h', '7d'].flatMap((window) => [
        [`visits_${window}`, ofWindow(counting, window, '7d', at, ({ length }) => length)],
        [`least_${window}`, ofWindow(counting, window, '7d', at, (of) => leastOf(cents(of)))],
      ]),
    ),
    visits_of_days_1d: ofWindow(counting, '1d', '30d', at, ({ length }) => length),
    visits_of_days_30d: ofWindow(counting, '30d', '30d', at, ({ length }) => length),
    cents_30m: ofWindow(counting, '30m', '', at, (of) => cents(of).reduce((sum, one) => sum + one, 0) / 100),
    cents_1y: ofWindow(counting, '1y', '', at, (of) => cents(of).reduce((sum, one) => sum + one, 0) / 100),
    cents: ofWindow(counting, '', '', at, (of) => cents(of).reduce((sum, one) => sum + one, 0) / 100),
    rooms_30m: ofWindow(counting, '30m', '', at, (of) => new Set(rooms(of)).size),
    first_room_1y: ofWindow(counting, '1y', '', at, (of) => rooms(of)[0] ?? null),
    last_room_7d:
      aged.eventAt !== null && at - aged.eventAt > 2 * DAY_MS
        ? { ...aged, value: null, status: 'OUTSIDE_MAX_AGE' }
        : aged,
    last_at: whole(last),
    since: whole(last === null ? null : (at - last) / 1_000),
    items: whole(itemsOf(counting)),
  };
}

/** A value over one window. The status and the time are those of the longest window; the empty text is all time. */
function ofWindow(
  counting: readonly RecordedEvent[],
  window: string,
  longest: string,
  at: number,
  compute: (inside: readonly RecordedEvent[]) => unknown,
): Expected {
  const within = counting.filter(({ occurredAt }) => occurredAt >= beginOf(longest, at));
  const value = compute(counting.filter(({ occurredAt }) => occurredAt >= beginOf(window, at)));
  const eventAt = within.at(-1)?.occurredAt ?? null;
  const status = within.length === 0 ? 'NOT_FOUND' : value === null ? 'NULL_VALUE' : 'PRESENT';
  return { value, status, eventAt };
}

function beginOf(window: string, at: number): number {
  const [, count = '', unit = ''] = /^(\d+)([mhdy])$/.exec(window) ?? [];
  const [unitMs, tileMs] = [UNIT_MS[unit], TILE_MS[unit]];
  if (unitMs === undefined || tileMs === undefined) return Number.NEGATIVE_INFINITY;
  return (Math.floor(at / tileMs) + 1) * tileMs - Number(count) * unitMs;
}

function leastOf(cents: readonly number[]): number | null {
  return cents.length === 0 ? null : Math.min(...cents) / 100;
}

function itemsOf(counting: readonly RecordedEvent[]) {
  const byRoom = Map.groupBy(counting, ({ data }) => (data as Visit).room);
  return [...byRoom]
    .map(([item, of]) => ({ item, count: of.length, lastAt: of.at(-1)?.occurredAt ?? 0 }))
    .sort((a, b) => b.lastAt - a.lastAt || (a.item < b.item ? -1 : 1));
}
