import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import type { FeatureRow } from '../../../src/define/feature-value.ts';
import { cellsOf, mergeCells } from '../../../src/features/fold.ts';
import { type HistoryPort, joinHistory } from '../../../src/features/join-history.ts';
import type { AsOfRequest, RecordedEvent } from '../../../src/features/point-in-time.ts';
import { readRow } from '../../../src/features/read.ts';
import { events, FEATURES, requestsFor } from './history.ts';
import { countingEvents, expectedOf } from './oracle.ts';

/** Events of a page: so few that most histories have several pages, and moments are divided between them. */
const PAGE = 4;

const scenario = events.chain((all) =>
  fc.record({ all: fc.constant(all), requests: requestsFor(all), repeats: fc.infiniteStream(fc.boolean()) }),
);

/** A history in memory, by the rules of `readRecorded`. Pages may repeat events. */
export function historyInMemory(all: readonly RecordedEvent[], repeats: Iterator<boolean>): HistoryPort {
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
      const page = left.slice(0, PAGE);
      const last = page.at(-1);
      return {
        events: page.flatMap((event) => (repeats.next().value === true ? [event, event] : [event])),
        next: last === undefined ? null : { time: String(timeOf(last)), seq: last.seq },
      };
    },
  };
}

/** All values of a request, from the folds of the events that count: for the aggregates that the oracle does not compute. */
function foldedOf(all: readonly RecordedEvent[], request: AsOfRequest): FeatureRow {
  const features = FEATURES.filter(({ entity }) => entity.name === request.entity);
  const cells = countingEvents(all, request).flatMap((event) => cellsOf(features, event));
  return readRow(
    features,
    mergeCells(cells).filter(({ key }) => key === request.key),
    request.at,
  );
}

/** Why the join of these requests is wrong; undefined if it is right. */
export async function mistakeOfJoin(
  all: readonly RecordedEvent[],
  requests: readonly AsOfRequest[],
  repeats: Iterator<boolean>,
): Promise<string | undefined> {
  const rows = await joinHistory(FEATURES, requests, historyInMemory(all, repeats));
  for (const [index, request] of requests.entries()) {
    const row = rows[index] ?? {};
    const expected = { ...foldedOf(all, request), ...expectedOf(all, request) };
    for (const [name, value] of Object.entries(expected))
      if (!isDeepStrictEqual(row[name], value))
        return `${name} of ${JSON.stringify(request)} is ${JSON.stringify(row[name])} instead of ${JSON.stringify(value)}.`;
    if (Object.keys(row).length !== Object.keys(expected).length) return 'The row has other features.';
  }
  return undefined;
}

/**
 * Joins made-up requests with made-up histories, and compares each value with the oracle's.
 *
 * @param isShrunk whether the mistake is that of the shortest history that has one, and not of the first.
 */
export async function joinHolds(
  seed: number,
  numRuns: number,
  isShrunk: boolean,
): Promise<{ readonly mistake?: string | undefined }> {
  const property = fc.asyncProperty(scenario, async ({ all, requests, repeats }) => {
    const mistake = await mistakeOfJoin(all, requests, repeats);
    if (mistake !== undefined) throw new Error(mistake);
  });
  const result = await fc.check(property, { seed, numRuns, endOnFailure: !isShrunk });
  return result.failed ? { mistake: `Seed ${seed}: ${String(result.errorInstance)}` } : {};
}
