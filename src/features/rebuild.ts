import type { FeatureDefinition } from '../define/feature.ts';
import { addDigests, type ShardDigest } from './digest.ts';
import type { FoldableEvent } from './fold.ts';
import { featureTag, routeEvents, shardsOf } from './shards.ts';

/** The most changed keys that one invalidation covers. */
export const CHANGED_KEYS_MAX = 500;

export interface FlipOutcome {
  /** Digests of the features that were read before the flip and after it. Both are of one moment, without a fold between. */
  readonly before: ShardDigest;
  readonly after: ShardDigest;
}

/** The shards as a rebuild uses them. All methods are idempotent. */
export interface RebuildPort {
  begin(shard: string, run: string): Promise<void>;
  /** Folds events into the rebuild's cells; false if another run is open. */
  build(shard: string, entity: string, run: string, events: readonly FoldableEvent[]): Promise<boolean>;
  /** Resolves to undefined if another run is open. */
  flip(shard: string, run: string): Promise<FlipOutcome | undefined>;
  changedKeys(shard: string, limit: number): Promise<readonly string[]>;
  settle(shard: string, keys: readonly string[]): Promise<void>;
  digest(shard: string): Promise<ShardDigest>;
}

/** The names of all shards that these features have, with their entities. */
export function allShards(features: readonly FeatureDefinition[]): { shard: string; entity: string }[] {
  const entities = [...new Set(features.map(({ entity }) => entity.name))];
  return entities.flatMap((entity) => shardsOf(entity).map((shard) => ({ shard, entity })));
}

/** Opens a rebuild in every shard. After it resolves, live events are folded into the rebuild's cells as well. */
export async function beginRebuild(
  features: readonly FeatureDefinition[],
  run: string,
  shards: RebuildPort,
): Promise<void> {
  await Promise.all(allShards(features).map(({ shard }) => shards.begin(shard, run)));
}

/** Folds events of history into the rebuild's cells; false if another run has been opened. */
export async function buildFrom(
  features: readonly FeatureDefinition[],
  run: string,
  events: readonly FoldableEvent[],
  shards: RebuildPort,
): Promise<boolean> {
  const routes = [...routeEvents(features, events)];
  const taken = await Promise.all(
    routes.map(([shard, route]) => shards.build(shard, route.entity, run, route.events)),
  );
  return taken.every(Boolean);
}

/** Flips every shard and invalidates the features that changed; undefined if another run is open. */
export async function flipAll(
  features: readonly FeatureDefinition[],
  run: string,
  shards: RebuildPort,
  invalidate: (tags: readonly string[]) => Promise<unknown>,
): Promise<FlipOutcome | undefined> {
  const outcomes: FlipOutcome[] = [];
  for (const { shard, entity } of allShards(features)) {
    const outcome = await shards.flip(shard, run);
    if (outcome === undefined) return undefined;
    outcomes.push(outcome);
    for (;;) {
      const keys = await shards.changedKeys(shard, CHANGED_KEYS_MAX);
      if (keys.length === 0) break;
      await invalidate(keys.map((key) => featureTag(entity, key)));
      await shards.settle(shard, keys);
    }
  }
  return {
    before: addDigests(outcomes.map(({ before }) => before)),
    after: addDigests(outcomes.map(({ after }) => after)),
  };
}
