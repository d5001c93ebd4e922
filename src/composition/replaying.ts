import type { Catalog } from '../define/catalog.ts';
import type { ClockMoment } from '../define/view.ts';
import { layoutsOf } from '../features/move-shards.ts';
import type { RebuildPort } from '../features/rebuild.ts';
import type { ReplayStepPorts } from '../features/replay.ts';
import { asCurrent, withEarlierVersions } from '../pipeline/contracts/versions.ts';
import { publishAgain } from '../pipeline/publish.ts';
import { guarded } from '../storage/postgres/connect.ts';
import { readMoves } from '../storage/postgres/feature-layouts.ts';
import { boundsOf, type HistoryRange, readHistory } from '../storage/postgres/history.ts';
import { readRelayed } from '../storage/postgres/outbox.ts';
import { advanceReplay, endReplay, openReplay } from '../storage/postgres/replays.ts';
import { readPruned } from '../storage/postgres/retention.ts';
import { invalidateTags } from './clock.ts';
import type { Env } from './env.ts';
import type { BoundIsolate } from './isolate.ts';
import { type DatabasePlace, featureShard } from './objects.ts';
import { changesQueue } from './queueing.ts';

/** The feature shards, as ports of a rebuild. */
function rebuildShards(
  env: Pick<Env, 'FEATURE_SHARD'> & DatabasePlace,
  layouts: RebuildPort['layouts'],
): RebuildPort {
  return {
    layouts,
    begin: (shard, entity, run) => featureShard(env, shard).beginRebuild(entity, run),
    build: (shard, entity, run, events) => featureShard(env, shard).build(shard, entity, run, [...events]),
    flip: (shard, entity, run) => featureShard(env, shard).flip(entity, run),
    changedKeys: (shard, limit) => featureShard(env, shard).changedKeys(limit),
    settle: (shard, keys, at) => featureShard(env, shard).settle([...keys], at),
    announced: (shard, announcement, at) => featureShard(env, shard).announced(announcement, at),
  };
}

/** History, upcast to the current versions of its events. */
export function historyPorts(
  db: BoundIsolate['db'],
  catalog: Pick<Catalog, 'eventTypes'>,
): Pick<ReplayStepPorts, 'bounds' | 'history' | 'pruned'> {
  return {
    bounds: (range) => guarded(() => boundsOf(db, ofAllVersions(catalog, range))),
    history: async (range, page) => {
      const events = await guarded(() => readHistory(db, ofAllVersions(catalog, range), page));
      return events.map((event) => asCurrent(catalog.eventTypes, event));
    },
    pruned: () => guarded(() => readPruned(db)),
  };
}

/**
 * The ports of a replay's step: the database, the shards and the `changes` queue.
 *
 * @param newestMoment returns a moment of the clock at or after everything that was invalidated before the call.
 */
export function replayStepPorts(
  { env, db, isolate: { catalog } }: BoundIsolate,
  newestMoment: () => Promise<ClockMoment>,
): ReplayStepPorts {
  const entities = new Set(catalog.entities.map(({ name }) => name));
  return {
    features: catalog.features,
    shards: rebuildShards(env, async () => layoutsOf(await guarded(() => readMoves(db)))),
    invalidate: (tags) => invalidateTags(env, tags),
    publish: async (events) => {
      const relayed = await guarded(() =>
        readRelayed(
          db,
          events.map(({ seq }) => seq),
        ),
      );
      // The moment is read after the changes: every change that is marked as relayed by then was invalidated before it.
      // A replay is bulk: live changes do not wait behind it.
      await publishAgain(changesQueue(env, 'bulk'), events, relayed, await newestMoment(), entities);
    },
    ...historyPorts(db, catalog),
    open: (replay, bounds) => guarded(() => openReplay(db, replay, bounds)),
    advance: (replay, page) => guarded(() => advanceReplay(db, replay, page)),
    end: (replay, outcome) => guarded(() => endReplay(db, replay, outcome)),
  };
}

function ofAllVersions({ eventTypes }: Pick<Catalog, 'eventTypes'>, range: HistoryRange): HistoryRange {
  const { types } = range;
  return { ...range, types: types === undefined ? undefined : withEarlierVersions(eventTypes, types) };
}
