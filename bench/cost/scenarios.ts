import { SAVE_EVERY_MS } from '../../durable-objects/paced-save.ts';
import { ASK_AGAIN_MS_MAX, ROOT_ASK_AGAIN_MS_MAX } from '../../src/cache/clock/pace.ts';
import { DEFAULT_LIMITS } from '../../src/define/limits.ts';
import { SHARDS_PER_ENTITY } from '../../src/features/layout.ts';
import { unitsOf } from '../../src/gateway/limits/weights.ts';
import { creditOf, LOW_SHARE, ratePolicy } from '../../src/limits/policy.ts';
import { FLUSH_EVERY_MS } from '../../src/platform/counters.ts';
import { COUNTED_ROWS, FOLD_ROWS, READ_OPERATIONS, WAITED_FOLD } from './counted.ts';
import { times, together, type Usage } from './prices.ts';
import type { Retraining } from './retraining.ts';

const MONTH_S = 30 * 86_400;
/** The memory that the platform charges for while an object is active, in GB. */
const OBJECT_GB = 0.128;

/** Assumed, because no counter of the code has them. Times were measured on the development machine. */
export const ASSUMED = {
  regions: 3,
  /** CPU time of a warm hit, in ms: twice what the quiet machine takes (docs/benchmarks.md). */
  hitCpuMs: 0.106,
  /** CPU time of a fill in the isolate and in the objects of the same process, in ms (docs/benchmarks.md). */
  fillCpuMs: { before: 10, after: 4 },
  /** How long a fill gate is active for a fill, in seconds: as long as the origin takes to answer. */
  fillS: 0.05,
  /** CPU time of an event from the request to the fold, in ms: the request, and its part of two consumers. */
  eventCpuMs: 3,
  /** The features that an event counts in, all of one entity, and the rows with their cells. */
  counted: FOLD_ROWS.ofPurchase,
  /** Objects of the class `QueuedEvents`. */
  queuedObjects: 4,
  /** The default of `OUTBOX_WATCH_MS`. */
  watchMs: 500,
  /** The relay's alarm while there are events, in ms. */
  relayAlarmMs: 2_000,
  /** Series of one report of an isolate's counts; they cost rows before. */
  series: 20,
  /** Objects that have the budgets of senders and are active: all where readers have no key; where one key sends, its own. */
  rateLimiters: { reads: 16, events: 1 },
} as const;

/** An object that is active all the time. */
const ACTIVE: Usage = { objectTime: OBJECT_GB * MONTH_S };

/**
 * Questions about the budgets of senders: one for each half of the credit of a sender in an isolate. An upper bound, as if
 * each sender used up its credit in each isolate.
 */
function limits(units: number, of: 'address' | 'key', objects: number): Usage {
  const unitsOfQuestion = creditOf(ratePolicy(DEFAULT_LIMITS[of])) * LOW_SHARE;
  return together({ objectCalls: units / unitsOfQuestion }, times(ACTIVE, objects));
}

const perMonth = (everyMs: number) => (MONTH_S * 1_000) / everyMs;

function rows([rowsRead, rowsWritten]: readonly [read: number, written: number]): Usage {
  return { rowsRead, rowsWritten };
}

/** Calls of a read's bindings, by the kind of read. */
function operations(calls: Readonly<Record<string, number>>): Usage {
  const of = (names: readonly string[]) => names.reduce((sum, name) => sum + (calls[name] ?? 0), 0);
  return {
    kvReads: of(['CACHE.get']),
    kvWrites: of(['CACHE.put']),
    objectCalls: of(['FILL_GATE.enter', 'FILL_GATE.complete']),
  };
}

/** What isolates do while they have readers, whatever the number of reads: syncs of the clock, and statistics. */
function standing(isolates: number, rowsPerReport: number, saves: Usage): Usage {
  const syncs = isolates * perMonth(ASK_AGAIN_MS_MAX) + ASSUMED.regions * perMonth(ROOT_ASK_AGAIN_MS_MAX);
  const reports = isolates * perMonth(FLUSH_EVERY_MS);
  // A check of the outbox calls the relay, which opens and closes a pass at the root.
  const checks = 3 * perMonth(ASSUMED.watchMs);
  // The root, the regions, the relay and the statistics.
  const objects = 3 + ASSUMED.regions;
  return together(
    { objectCalls: syncs + reports + checks, rowsWritten: reports * rowsPerReport },
    saves,
    times(ACTIVE, objects),
  );
}

const BEFORE_ROWS_PER_REPORT = 2 * ASSUMED.series + 1;
const SAVES: Usage = times(rows(COUNTED_ROWS.statisticsSave), perMonth(SAVE_EVERY_MS));

export interface Reads {
  readonly readsPerS: number;
  readonly hitRatio: number;
  readonly isolates: number;
}

export const READS: Reads = { readsPerS: 10_000, hitRatio: 0.95, isolates: 300 };

/** Calls of a fill before: of KV, and of the gate, which every fill asked. */
const BEFORE_FILL = { 'CACHE.get': 1, 'CACHE.put': 1, 'FILL_GATE.enter': 1, 'FILL_GATE.complete': 1 };

/**
 * 10,000 reads a second: before, each was a line of the log, and each fill asked and wrote KV. After, every fill counts as
 * one of a key that has an entry which is no longer valid, so it asks the gate: an upper bound.
 */
export function readsUsage({ readsPerS, hitRatio, isolates }: Reads): { before: Usage; after: Usage } {
  const reads = readsPerS * MONTH_S;
  const fills = reads * (1 - hitRatio);
  const always = together(
    { requests: reads, cpu: reads * ASSUMED.hitCpuMs },
    { objectTime: fills * ASSUMED.fillS * OBJECT_GB },
    times(operations(READ_OPERATIONS.warm), reads - fills),
  );
  return {
    before: together(
      always,
      { logs: reads, cpu: fills * ASSUMED.fillCpuMs.before },
      times(operations(BEFORE_FILL), fills),
      standing(isolates, BEFORE_ROWS_PER_REPORT, {}),
    ),
    after: together(
      always,
      { cpu: fills * ASSUMED.fillCpuMs.after },
      times(operations(READ_OPERATIONS.refill), fills),
      standing(isolates, 0, SAVES),
      limits(reads + fills * unitsOf('fill'), 'address', ASSUMED.rateLimiters.reads),
    ),
  };
}

export interface Events {
  readonly eventsPerDay: number;
  /** Events that one batch of a consumer has, in both queues. */
  readonly perBatch: number;
  readonly isolates: number;
}

export const EVENTS_ALONE: Events = { eventsPerDay: 1e6, perBatch: 1, isolates: 20 };
/** As with `max_batch_timeout = 1` at this rate: events wait for up to a second in each of two queues. */
export const EVENTS_TOGETHER: Events = { ...EVENTS_ALONE, perBatch: 12 };

/** What a batch of the events queue does: it arms the relay, stores, asks for a sweep, and scores in the background. */
function eventsBatch(): Usage {
  return together({ requests: 1, objectCalls: 2 }, { objectCalls: 1 }, invalidation());
}

/** Rows of `QueuedEvents` for a request, and of `QualityWindow` for a transaction, before they were saved together. */
const BEFORE_ROWS = { ofRequest: [2, 1], ofTransaction: [5, 6] } as const;

/** What the objects save for events and their transactions. */
function savesOf(batches: number): Usage {
  return together(
    times(rows(COUNTED_ROWS.queuedSave), ASSUMED.queuedObjects * perMonth(SAVE_EVERY_MS)),
    times(rows(COUNTED_ROWS.qualityOfTransaction), batches),
    times(rows(COUNTED_ROWS.qualityOfMinute), perMonth(60_000)),
  );
}

/** The shards of one entity that a batch calls, where each of its events has another key. */
function shardsOf(perBatch: number): number {
  return SHARDS_PER_ENTITY * (1 - (1 - 1 / SHARDS_PER_ENTITY) ** perBatch);
}

function invalidation(): Usage {
  return { objectCalls: 1 + ASSUMED.regions, ...rows(COUNTED_ROWS.invalidation) };
}

interface FoldRows {
  readonly read: number;
  readonly written: number;
}

const BEFORE_FOLD: FoldRows = { read: 3, written: 2 };

/** What a batch of the changes queue does: it folds, invalidates the features' answers, and appends to the feed. */
function changesBatch(perBatch: number, { read, written }: FoldRows = FOLD_ROWS.ofCall): Usage {
  return together(
    { requests: 1 },
    times({ objectCalls: 1, rowsRead: read, rowsWritten: written }, shardsOf(perBatch)),
    invalidation(),
    { objectCalls: 1, ...rows(COUNTED_ROWS.feedAppend) },
  );
}

/**
 * What requests do together that wait for their events: they arm the relay, store, relay, score, fold, and tell the shards
 * what is invalidated. The consumer of the changes repeats the fold, which finds nothing to do, and appends to the feed.
 */
function waitingGroup(events: number): Usage {
  const { read, written } = FOLD_ROWS.ofCall;
  const fold = { objectCalls: 1, rowsRead: read, rowsWritten: written };
  const repeated = { objectCalls: 1, rowsRead: WAITED_FOLD.rowsOfRepeat };
  return together(
    { requests: 1, queues: 3, objectCalls: 3 },
    times(invalidation(), 2),
    times(together(fold, { objectCalls: 1 }, repeated), shardsOf(events)),
    { objectCalls: 1, ...rows(COUNTED_ROWS.feedAppend) },
  );
}

/** A million events a day, each sent alone by a request that waits for it. No queue has the events themselves. */
export function waitingUsage({ eventsPerDay, perBatch, isolates }: Events): Usage {
  const events = eventsPerDay * 30;
  const groups = events / perBatch;
  const { read, written } = FOLD_ROWS.ofRow;
  const { rows: ofEvent } = ASSUMED.counted;
  return together(
    relayAlarms(),
    times(ACTIVE, 4),
    times({ requests: 1, cpu: ASSUMED.eventCpuMs }, events),
    times({ rowsRead: ofEvent * read, rowsWritten: ofEvent * written }, events),
    times(waitingGroup(perBatch), groups),
    times(rows(COUNTED_ROWS.qualityOfTransaction), groups),
    times(rows(COUNTED_ROWS.qualityOfMinute), perMonth(60_000)),
    standing(isolates, 0, SAVES),
    limits(events * (unitsOf('event') + unitsOf('eventOfBatch')), 'key', ASSUMED.rateLimiters.events),
  );
}

/** Setting the alarm of the relay, the mark that one more has to follow, and its removal. */
function relayAlarms(): Usage {
  return times({ objectCalls: 1, rowsWritten: 3 }, perMonth(ASSUMED.relayAlarmMs));
}

/** An event of one request, without its part of the batches. A message is written, read and deleted. */
function eventAlone(rowsOfFold: number = ASSUMED.counted.rows): Usage {
  const { read, written } = FOLD_ROWS.ofRow;
  return together(
    { requests: 1, cpu: ASSUMED.eventCpuMs, queues: 3 },
    { objectCalls: 1 },
    { rowsRead: rowsOfFold * read, rowsWritten: rowsOfFold * written },
  );
}

/** A million events a day, each sent alone. */
export function eventsUsage({ eventsPerDay, perBatch, isolates }: Events): { before: Usage; after: Usage } {
  const events = eventsPerDay * 30;
  const batches = events / perBatch;
  const always = together(
    times(eventsBatch(), batches),
    // The relay publishes the changes of a sweep as one message.
    times({ queues: 3 }, batches),
    relayAlarms(),
    // The feed, the quality, and eight shards each of queued events and of features, are active now and then.
    times(ACTIVE, 4),
  );
  return {
    before: together(
      always,
      { logs: events + 2 * batches },
      // Each cell was a row, and the totals were another than the numbers.
      times(eventAlone(ASSUMED.counted.features), events),
      times(changesBatch(perBatch, BEFORE_FOLD), batches),
      times(rows(BEFORE_ROWS.ofRequest), events),
      times(rows(BEFORE_ROWS.ofTransaction), batches),
      standing(isolates, BEFORE_ROWS_PER_REPORT, {}),
    ),
    after: together(
      always,
      times(eventAlone(), events),
      times(changesBatch(perBatch), batches),
      savesOf(batches),
      standing(isolates, 0, SAVES),
      limits(events * (unitsOf('event') + unitsOf('eventOfBatch')), 'key', ASSUMED.rateLimiters.events),
    ),
  };
}

/**
 * A run of the bike-share's `ride-minutes`, on 11,300 rides of 30 riders, as it reported itself
 * (`examples/bike-share/test/e2e/training.long.test.ts`). Each page of 2,000 rides has all of the riders.
 */
export const RIDES_RETRAINED: Retraining = {
  ...{ events: 11_300, keys: 30, items: 0, keysOfPages: 180, itemsOfPages: 0, parts: 1, files: 3 },
  ...{ steps: 132, r2Reads: 5, r2Writes: 3, alarms: 10, datasetAlarms: 1, polls: 9 },
  ...{ isRanking: false, isChallenger: true, busyS: 16.8, lastedS: 25.3 },
};

export const RETRAININGS: Readonly<Record<string, Retraining>> = {
  'ride-minutes, 11,300 rides': RIDES_RETRAINED,
};
