import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import type { FeatureRow } from '../../../src/define/feature-value.ts';
import { cellsOf, mergeCells } from '../../../src/features/fold.ts';
import { joinHistory } from '../../../src/features/join-history.ts';
import type { AsOfRequest, RecordedEvent } from '../../../src/features/point-in-time.ts';
import { readRow } from '../../../src/features/read.ts';
import { events, FEATURES, requestsFor } from './history.ts';
import { historyInMemory } from './in-memory.ts';
import { countingEvents, expectedOf } from './oracle.ts';

const scenario = events.chain((all) =>
  fc.record({ all: fc.constant(all), requests: requestsFor(all), repeats: fc.infiniteStream(fc.boolean()) }),
);

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
