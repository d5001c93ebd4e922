import type { FeatureDefinition } from '../define/feature.ts';
import type { FoldableEvent } from './fold.ts';
import type { FeatureValue } from './read.ts';
import { featureTag, routeEvents, shardOf } from './shards.ts';

export type FeatureRow = Readonly<Record<string, FeatureValue>>;

/** The shards, as far as the store needs them. */
export interface ShardPort {
  fold(shard: string, entity: string, events: readonly FoldableEvent[]): Promise<{ keys: readonly string[] }>;
  read(shard: string, entity: string, keys: readonly string[], now: number): Promise<readonly FeatureRow[]>;
}

/**
 * Folds stored events into the shards that they count for; what has been folded before changes nothing.
 *
 * @returns the tags of the features that may have changed, to be invalidated now that they have.
 */
export async function foldEvents(
  features: readonly FeatureDefinition[],
  events: readonly FoldableEvent[],
  shards: Pick<ShardPort, 'fold'>,
): Promise<string[]> {
  const routes = [...routeEvents(features, events)];
  const tags = await Promise.all(
    routes.map(async ([shard, route]) => {
      const { keys } = await shards.fold(shard, route.entity, route.events);
      return keys.map((key) => featureTag(route.entity, key));
    }),
  );
  return tags.flat();
}

/** The features of some keys of one entity as of `now`, in the order of the keys. */
export async function readFeatures(
  entity: string,
  keys: readonly string[],
  now: number,
  shards: Pick<ShardPort, 'read'>,
): Promise<FeatureRow[]> {
  const byShard = Map.groupBy(new Set(keys), (key) => shardOf(entity, key));
  const rows = new Map<string, FeatureRow>();
  await Promise.all(
    [...byShard].map(async ([shard, shardKeys]) => {
      const read = await shards.read(shard, entity, shardKeys, now);
      for (const [index, key] of shardKeys.entries()) {
        const row = read[index];
        if (row !== undefined) rows.set(key, row);
      }
    }),
  );
  return keys.map((key) => rows.get(key) ?? {});
}
