import type { FeatureDefinition } from '../define/feature.ts';
import { addDigests, type ShardDigest } from './digest.ts';
import type { FoldableEvent } from './fold.ts';
import { featureTag, routeEvents, shardsOf } from './shards.ts';

/** Changed keys that are invalidated together. */
export const CHANGED_KEYS_MAX = 500;

export interface FlipOutcome {
  /** What was read until the flip, and what is read since: of one moment, in which nothing was folded. */
  readonly before: ShardDigest;
  readonly after: ShardDigest;
}

/** The shards, as far as a rebuild needs them. All of it is safe to repeat. */
export interface RebuildPort {
  begin(shard: string, run: string): Promise<void>;
  /** Folds into what is built; false where another run is open. */
  build(shard: string, entity: string, run: string, events: readonly FoldableEvent[]): Promise<boolean>;
  /** Undefined where another run is open. */
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

/** From its return on, what is folded live is folded into what is built, too. */
export async function beginRebuild(
  features: readonly FeatureDefinition[],
  run: string,
  shards: RebuildPort,
): Promise<void> {
  await Promise.all(allShards(features).map(({ shard }) => shards.begin(shard, run)));
}

/** Folds events of history into what is built; false where another run has been begun. */
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

/** Flips every shard, and invalidates the features that are other than before; undefined for another run. */
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
