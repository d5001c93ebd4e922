import type { HistoryPort } from '../../../src/features/join-history.ts';
import type { RecordedEvent } from '../../../src/features/point-in-time.ts';

/** Events of a page: so few that most histories have several pages, and moments are divided between them. */
const PAGE = 4;

/**
 * A history in memory, by the rules of `readRecorded`. Pages may repeat events.
 *
 * @param pageEvents events of a page.
 */
export function historyInMemory(
  all: readonly RecordedEvent[],
  repeats: Iterator<boolean>,
  pageEvents = PAGE,
): HistoryPort {
  return {
    pruned: async () => [],
    read: async ({ order, types, from, to, known }, { after }) => {
      const timeOf = (event: RecordedEvent) => (order === 'recorded' ? event.recordedAt : event.occurredAt);
      const isEarly = ({ recordedAt, occurredAt }: RecordedEvent) => recordedAt < occurredAt;
      const left = all
        .filter((event) => types.includes(event.type) && timeOf(event) <= to && event.recordedAt <= known)
        .filter((event) => from === undefined || event.occurredAt >= from)
        .filter((event) => order === 'happened' || isEarly(event) === (order === 'early'))
        .sort((a, b) => timeOf(a) - timeOf(b) || a.seq - b.seq)
        .filter(
          (event) =>
            after === null ||
            timeOf(event) > Number(after.time) ||
            (timeOf(event) === Number(after.time) && event.seq > after.seq),
        );
      const page = left.slice(0, pageEvents);
      const last = page.at(-1);
      return {
        events: page.flatMap((event) => (repeats.next().value === true ? [event, event] : [event])),
        next: last === undefined ? null : { time: String(timeOf(last)), seq: last.seq },
      };
    },
  };
}
