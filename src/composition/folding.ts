import type { Catalog } from '../define/catalog.ts';
import type { FoldableEvent } from '../features/fold.ts';
import type { JoinedFoldPorts } from '../features/joined-folds.ts';
import {
  type AnnouncePorts,
  type Folded,
  foldEvents,
  type ShardPort,
  type Untold,
} from '../features/shards.ts';
import { asCurrent } from '../pipeline/contracts/versions.ts';
import { foldObserved, type ReportLineage } from '../pipeline/lineage/observed.ts';
import { invalidateTags } from './clock.ts';
import type { BoundIsolate } from './isolate.ts';
import { featureShard } from './objects.ts';

/** Folds stored events, upcast to the current version of their types. */
export async function foldStored(
  { eventTypes, features }: Pick<Catalog, 'eventTypes' | 'features'>,
  stored: readonly FoldableEvent[],
  shards: Pick<ShardPort, 'fold' | 'moves'>,
  report: ReportLineage,
): Promise<Folded> {
  const events = stored.map((event) => asCurrent(eventTypes, event));
  return await foldObserved(events, () => foldEvents(features, events, shards), report);
}

/** Folds events into the shards, and invalidates what depends on the features. */
export function foldPorts(
  bound: BoundIsolate,
  keepAlive: AnnouncePorts['keepAlive'],
  report: ReportLineage,
): AnnouncePorts {
  const shards = foldingShards(bound);
  return {
    ...announcePorts(bound, keepAlive),
    fold: (events) => foldStored(bound.isolate.catalog, events, shards, report),
  };
}

/** The same for folds of several requests, whose calls tell the shards what was invalidated before. */
export function joinedFoldPorts(
  bound: BoundIsolate,
  keepAlive: AnnouncePorts['keepAlive'],
  report: ReportLineage,
): Pick<JoinedFoldPorts<unknown>, 'fold' | keyof AnnouncePorts> {
  return {
    ...announcePorts(bound, keepAlive),
    fold: (events, untold) => foldStored(bound.isolate.catalog, events, foldingShards(bound, untold), report),
  };
}

function announcePorts(
  { env }: BoundIsolate,
  keepAlive: AnnouncePorts['keepAlive'],
): Omit<AnnouncePorts, 'fold'> {
  return {
    invalidate: (tags) => invalidateTags(env, tags),
    announced: (shard, announcement, at) => featureShard(env, shard).announced(announcement, at),
    keepAlive,
  };
}

/**
 * The shards as folds use them.
 *
 * @param untold what the shards have to be told; a call to a shard takes its part along.
 */
export function foldingShards(
  { env, isolate }: Pick<BoundIsolate, 'env' | 'isolate'>,
  untold: Untold = new Map(),
): Pick<ShardPort, 'fold' | 'moves'> {
  return {
    moves: isolate.moves,
    fold: (shard, entity, events, copiedTo) => {
      const told = untold.get(shard) ?? [];
      untold.delete(shard);
      return featureShard(env, shard).fold(shard, entity, [...events], copiedTo, [...told]);
    },
  };
}
