import type { FeatureDefinition } from '../define/feature.ts';
import type { FeatureRow } from '../define/feature-value.ts';
import { Failure } from '../platform/failure.ts';
import { isObjectAway } from '../storage/outage.ts';
import type { FoldableEvent } from './fold.ts';
import { FOLD_EVENTS_MAX, featureTag, routeEvents, shardOf } from './shards.ts';

export type { FeatureRow };

/** The shards as the store uses them. */
export interface ShardPort {
  fold(shard: string, entity: string, events: readonly FoldableEvent[]): Promise<{ keys: readonly string[] }>;
  read(shard: string, entity: string, keys: readonly string[], now: number): Promise<readonly FeatureRow[]>;
}

/**
 * Folds stored events into the shards that they count for. An event that was folded before changes nothing.
 *
 * @returns the tags of the features that may have changed. The caller has to invalidate them.
 */
export async function foldEvents(
  features: readonly FeatureDefinition[],
  events: readonly FoldableEvent[],
  shards: Pick<ShardPort, 'fold'>,
): Promise<string[]> {
  const routes = [...routeEvents(features, events)].flatMap(([shard, route]) => callsOf(shard, route));
  const tags = await Promise.all(
    routes.map(async ({ shard, entity, events: own }) => {
      const { keys } = await shards.fold(shard, entity, own);
      return keys.map((key) => featureTag(entity, key));
    }),
  );
  return tags.flat();
}

/** The calls that fold the events of one shard: one, unless they are more than a call may fold. */
function callsOf(shard: string, { entity, events }: { entity: string; events: readonly FoldableEvent[] }) {
  return Array.from({ length: Math.ceil(events.length / FOLD_EVENTS_MAX) }, (_, call) => ({
    ...{ shard, entity },
    events: events.slice(call * FOLD_EVENTS_MAX, (call + 1) * FOLD_EVENTS_MAX),
  }));
}

/**
 * Reads the features of keys of one entity as of `now`, in the order of the keys.
 *
 * @throws Failure `features_unavailable` if a shard does not answer.
 */
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
      const read = await readShard(shards, shard, entity, shardKeys, now);
      for (const [index, key] of shardKeys.entries()) {
        const row = read[index];
        if (row !== undefined) rows.set(key, row);
      }
    }),
  );
  return keys.map((key) => rows.get(key) ?? {});
}

/** Turns an unreachable shard into a failure. An error of the shard's own code is no outage and passes unchanged. */
async function readShard(shards: Pick<ShardPort, 'read'>, ...asked: Parameters<ShardPort['read']>) {
  try {
    return await shards.read(...asked);
  } catch (error) {
    if (!isObjectAway(error)) throw error;
    throw new Failure('features_unavailable', 'The feature store does not answer. Try again shortly.', {
      retryAfterS: 1,
      cause: error,
    });
  }
}
