/** Events in memory as a history that joins with past moments read, by the rules of `readRecorded`. */
import type { HistoryPort } from '../../../src/features/join-history.ts';
import type { RecordedEvent } from '../../../src/features/point-in-time.ts';

/** The events of one order, sorted. */
interface Sorted {
  readonly times: readonly number[];
  readonly events: readonly RecordedEvent[];
}

/**
 * @param all events that happened and were stored at the same moment: each counts from then on.
 */
export function historyOfEvents(all: readonly RecordedEvent[]): HistoryPort {
  const sorted: Sorted = sortedByTime(all);
  return {
    pruned: async () => [],
    read: async ({ order, types, from, to, known }, { after, limit }) => {
      // An event that is known from its own moment on is never early.
      if (order === 'early') return { events: [], next: null };
      const start =
        after === null
          ? placeOf(sorted, from ?? Number.NEGATIVE_INFINITY, 0)
          : placeOf(sorted, Number(after.time), after.seq + 1);
      const events: RecordedEvent[] = [];
      for (let place = start; place < sorted.events.length && events.length < limit; place += 1) {
        const event = sorted.events[place];
        if (event === undefined || event.occurredAt > Math.min(to, known)) break;
        if (types.includes(event.type) && event.occurredAt >= (from ?? event.occurredAt)) events.push(event);
      }
      const last = events.at(-1);
      return {
        events,
        next: last === undefined ? null : { time: String(last.occurredAt), seq: last.seq },
      };
    },
  };
}

function sortedByTime(all: readonly RecordedEvent[]): Sorted {
  for (const { occurredAt, recordedAt } of all)
    if (occurredAt !== recordedAt) throw new Error('An event was stored at another moment than it happened.');
  const events = all.toSorted((a, b) => a.occurredAt - b.occurredAt || a.seq - b.seq);
  return { events, times: events.map(({ occurredAt }) => occurredAt) };
}

/** The place of the first event at or after a time and number. */
function placeOf({ times, events }: Sorted, time: number, seq: number): number {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const at = times[middle] ?? 0;
    if (at < time || (at === time && (events[middle]?.seq ?? 0) < seq)) low = middle + 1;
    else high = middle;
  }
  return low;
}
