import type { GatewayPorts } from '../gateway/app.ts';
import { readChampion } from '../inference/registry.ts';
import type { LineageContext } from '../operations/lineage/context.ts';
import { datasetsOf } from '../operations/lineage/datasets.ts';
import { walk } from '../operations/lineage/graph.ts';
import { neighboursOf } from '../operations/lineage/neighbours.ts';
import { withRemovals } from '../operations/lineage/removed.ts';
import { findRoot } from '../operations/lineage/root.ts';
import { runEventOf } from '../operations/lineage/run-events.ts';
import type { LineageFacts } from '../pipeline/lineage/recorder.ts';
import { endedIngestRuns } from '../pipeline/lineage/runs.ts';
import { sleep, systemNow } from '../platform/clock.ts';
import { guarded } from '../storage/postgres/connect.ts';
import { readLineageEvents } from '../storage/postgres/lineage-read.ts';
import { recordLineage } from '../storage/postgres/lineage-runs.ts';
import { type SweepOutcome, sweepLineage } from '../storage/postgres/lineage-sweep.ts';
import { readRemoved } from '../storage/postgres/removals.ts';
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

/** The ports of the routes that show lineage. */
export function lineagePorts({ config, db, isolate, registry }: BoundIsolate): GatewayPorts['lineage'] {
  const { catalog } = isolate;
  const datasets = datasetsOf(catalog, config.database.url);
  return {
    runEvents: (after, limit) =>
      guarded(async () => {
        // The cron may be disabled, and locally there is none, so each reader ends the runs that are over.
        await sweepRuns(db);
        const rows = await readLineageEvents(db, after, limit);
        return rows.map((row) => ({ cursor: row.cursor, event: runEventOf(row, catalog, datasets) }));
      }),
    walk: (root, { directions, depth, limit }) => {
      const champions = new Map<string, ReturnType<LineageContext['champion']>>();
      const champion: LineageContext['champion'] = (model) => {
        const read = champions.get(model) ?? readChampion(model, registry).then((found) => found?.manifest);
        champions.set(model, read);
        return read;
      };
      const context = { db, catalog, datasets, limit, now: systemNow(), champion };
      return guarded(async () => {
        const node = await findRoot(root, context);
        if (node === undefined) return undefined;
        const walked = await walk(node, directions, depth, neighboursOf(context));
        return await withRemovals(walked, (datasets, versions) => readRemoved(db, datasets, versions));
      });
    },
  };
}
