import type { Catalog } from '../define/catalog.ts';
import type { ClockMoment } from '../define/view.ts';
import type { ReplayPorts } from '../features/replay.ts';
import { asCurrent } from '../pipeline/contracts/versions.ts';
import { publishAgain } from '../pipeline/publish.ts';
import { type connect, guarded } from '../storage/postgres/connect.ts';
import { boundsOf, type HistoryRange, readHistory } from '../storage/postgres/history.ts';
import { readRelayed } from '../storage/postgres/outbox.ts';
import { advanceReplay, endReplay, openReplay } from '../storage/postgres/replays.ts';
import { readPruned } from '../storage/postgres/retention.ts';
import type { Env } from './env.ts';
import { featureShard } from './objects.ts';

/** What a replay needs of a request. */
interface Replaying {
  readonly env: Env;
  readonly db: ReturnType<typeof connect>;
  readonly invalidate: (tags: readonly string[]) => Promise<unknown>;
  readonly newestMoment: () => Promise<ClockMoment>;
  readonly catalog: Catalog;
}

/** A replay's effects, on the real database, shards and queue. */
export function replayPorts({ env, db, invalidate, newestMoment, catalog }: Replaying): ReplayPorts {
  const entities = new Set(catalog.entities.map(({ name }) => name));
  return {
    features: catalog.features,
    shards: {
      begin: (shard, run) => featureShard(env, shard).beginRebuild(run),
      build: (shard, entity, run, events) => featureShard(env, shard).build(shard, entity, run, [...events]),
      flip: (shard, run) => featureShard(env, shard).flip(run),
      changedKeys: (shard, limit) => featureShard(env, shard).changedKeys(limit),
      settle: (shard, keys) => featureShard(env, shard).settle([...keys]),
      digest: (shard) => featureShard(env, shard).digest(),
    },
    invalidate,
    publish: async (events) => {
      const relayed = await guarded(() =>
        readRelayed(
          db,
          events.map(({ seq }) => seq),
        ),
      );
      // Asked after reading: what was relayed had been invalidated before.
      await publishAgain(env.CHANGES, events, relayed, await newestMoment(), entities);
    },
    bounds: (range) => guarded(() => boundsOf(db, ofAllVersions(catalog, range))),
    history: async (range, page) => {
      const events = await guarded(() => readHistory(db, ofAllVersions(catalog, range), page));
      return events.map((event) => asCurrent(catalog.eventTypes, event));
    },
    pruned: () => guarded(() => readPruned(db)),
    open: (replay, bounds) => guarded(() => openReplay(db, replay, bounds)),
    advance: (replay, page) => guarded(() => advanceReplay(db, replay, page)),
    end: (replay, outcome) => guarded(() => endReplay(db, replay, outcome)),
  };
}

/** What was stored before its type had the current version is of that type, too. */
function ofAllVersions(catalog: Catalog, range: HistoryRange): HistoryRange {
  const types = range.types?.flatMap((type) => {
    const earlier = catalog.eventTypes.get(type)?.earlier ?? [];
    return [type, ...earlier.map((definition) => definition.type)];
  });
  return { ...range, types };
}
