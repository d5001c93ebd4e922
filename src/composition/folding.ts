import type { Catalog } from '../define/catalog.ts';
import type { FoldableEvent } from '../features/fold.ts';
import { type AnnouncePorts, type Folded, foldEvents, type ShardPort } from '../features/shards.ts';
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
  { env, isolate }: BoundIsolate,
  keepAlive: AnnouncePorts['keepAlive'],
  report: ReportLineage,
): AnnouncePorts {
  const shards = foldingShards({ env, isolate });
  return {
    fold: (events) => foldStored(isolate.catalog, events, shards, report),
    invalidate: (tags) => invalidateTags(env, tags),
    announced: (shard, announcement, at) => featureShard(env, shard).announced(announcement, at),
    keepAlive,
  };
}

/** The shards as folds use them. */
export function foldingShards({
  env,
  isolate,
}: Pick<BoundIsolate, 'env' | 'isolate'>): Pick<ShardPort, 'fold' | 'moves'> {
  return {
    moves: isolate.moves,
    fold: (shard, entity, events, copiedTo) =>
      featureShard(env, shard).fold(shard, entity, [...events], copiedTo),
  };
}
