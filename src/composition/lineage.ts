import type { LineageFacts } from '../pipeline/lineage/recorder.ts';
import { endedIngestRuns } from '../pipeline/lineage/runs.ts';
import { sleep, systemNow } from '../platform/clock.ts';
import { recordLineage } from '../storage/postgres/lineage-runs.ts';
import { type SweepOutcome, sweepLineage } from '../storage/postgres/lineage-sweep.ts';
import type { BoundIsolate } from './isolate.ts';

/**
 * Records facts for lineage, without waiting and without failing.
 *
 * @param pauseMs how long facts are buffered before they are written, in milliseconds.
 */
export function noteLineage(
  { isolate, db, observation, lineageShard }: BoundIsolate,
  keepAlive: (work: Promise<unknown>) => void,
  facts: LineageFacts,
  pauseMs: number,
): void {
  if (facts.prediction !== undefined) observation.predicted(facts.prediction);
  isolate.lineage.record(facts, {
    now: systemNow,
    keepAlive,
    pause: () => sleep(pauseMs),
    write: (runs, predictions) => recordLineage(db, runs, predictions, lineageShard),
    lost: observation.lineageLost,
  });
}

/** Ends the runs that are over, and prunes old ones. */
export async function sweepRuns(db: BoundIsolate['db']): Promise<SweepOutcome> {
  const now = systemNow();
  return await sweepLineage(db, await endedIngestRuns(now), new Date(now).toISOString());
}
