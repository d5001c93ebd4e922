import { PAGE_EVENTS_MAX } from '../../src/features/replay.ts';
import { COUNTED_ROWS } from './counted.ts';
import { ITEMS, type Item, PRICES, together, type Usage } from './prices.ts';

/** The memory that the platform charges for while an object is active, in GB. */
const OBJECT_GB = 0.128;
/** Regional clocks that are told of an invalidation. */
const REGIONS = 3;

/** The set that a run learns from, and what the run did with it. Times are in seconds. */
export interface Retraining {
  /** Label events. */
  readonly events: number;
  /** Entities and items with a label event. Only a ranking has items. */
  readonly keys: number;
  readonly items: number;
  /** The entities, and the items that were new or earlier, of each page of label events, added up. */
  readonly keysOfPages: number;
  readonly itemsOfPages: number;
  /** Of the dataset. A part has at most three files, and `parts` has those that were divided as well. */
  readonly parts: number;
  readonly files: number;
  /** As the run reports them. */
  readonly steps: number;
  readonly r2Reads: number;
  readonly r2Writes: number;
  /** Alarms of `TrainingRuns` and of `Datasets`, and calls of `Datasets.read`. */
  readonly alarms: number;
  readonly datasetAlarms: number;
  readonly polls: number;
  readonly isRanking: boolean;
  readonly isChallenger: boolean;
  /** Time of all steps, an upper bound of their CPU time, and from the beginning of the run to its end. */
  readonly busyS: number;
  readonly lastedS: number;
}

/** What an object does for a run: rows that it writes, statements of the database, and operations of R2. */
export interface RunCounts {
  readonly rowsWritten: number;
  readonly sql: number;
  readonly r2Reads: number;
  readonly r2Writes: number;
}

/** Statements of `TrainingRuns` beside history: the newest event, gates, lineage, the champion, and two of the registry. */
const RUN_STATEMENTS = { always: 10, ofChallenger: 2 } as const;

const pagesOf = ({ events }: Retraining) => Math.ceil(events / PAGE_EVENTS_MAX) + 1;

/**
 * What `Datasets` does. Counted by `examples/bike-share/test/e2e/training.long.test.ts`, in a worker whose objects count.
 * History is read in pages, and ends with an empty one: once to count, and twice for each part.
 */
export function datasetCounts(run: Retraining): RunCounts {
  const tallies = run.keysOfPages + run.keys + run.itemsOfPages + run.items;
  return {
    // The dataset's own row is written with each page, and when it begins, is divided and is ready. An alarm sets two.
    rowsWritten: tallies + pagesOf(run) + 2 * run.parts + 3 + 2 * run.datasetAlarms + 1,
    // What retention has deleted is asked for each time that history was read for features, and once it is counted.
    sql: pagesOf(run) * (1 + 2 * run.parts) + 1 + run.parts,
    r2Reads: 0,
    r2Writes: run.files,
  };
}

/** What `TrainingRuns` does. By the same test; `test/workers/ranking-runs.test.ts` counts the files of a ranking. */
export function runCounts(run: Retraining): RunCounts {
  const { always, ofChallenger } = RUN_STATEMENTS;
  return {
    // Each step, and the look for a checkpoint after each alarm, saves the run. An alarm sets two.
    rowsWritten: COUNTED_ROWS.trainingStep[1] * (run.steps + run.alarms) + 2 * run.alarms + 2,
    sql: always + (run.isChallenger ? ofChallenger : 0) + (run.isRanking ? pagesOf(run) : 0),
    r2Reads: run.r2Reads,
    r2Writes: run.r2Writes,
  };
}

/** The most rows that both objects read. Each costs a thousandth of a written one. */
export function rowsReadMax(run: Retraining): number {
  const written = datasetCounts(run).rowsWritten + runCounts(run).rowsWritten;
  return 2 * written + (run.parts + 2) * run.polls;
}

/** What the platform charges for. The database's bill is its own; its statements are subrequests and cost nothing. */
export function retrainingUsage(run: Retraining): Usage {
  const [ofDataset, ofRun] = [datasetCounts(run), runCounts(run)];
  const alias = run.isChallenger ? { objectCalls: 3 + REGIONS, queues: 3, rowsWritten: 5 } : {};
  return together(
    {
      cpu: 1_000 * run.busyS,
      // Two objects are active from the beginning to the end.
      objectTime: 2 * OBJECT_GB * run.lastedS,
      objectCalls: run.alarms + run.datasetAlarms + run.polls + 4,
      rowsWritten: ofDataset.rowsWritten + ofRun.rowsWritten,
      rowsRead: rowsReadMax(run),
      r2Reads: ofDataset.r2Reads + ofRun.r2Reads,
      r2Writes: ofDataset.r2Writes + ofRun.r2Writes,
    },
    alias,
  );
}

/** What a usage costs beyond what the plan includes, in US dollars. */
export function marginalCost(item: Item, usage: Usage): number {
  return ((usage[item] ?? 0) / 1e6) * PRICES[item].perMillion;
}

export function marginalTotal(usage: Usage): number {
  return ITEMS.reduce((sum, item) => sum + marginalCost(item, usage), 0);
}
