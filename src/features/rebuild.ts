import type { FeatureDefinition } from '../define/feature.ts';
import type { ClockMoment } from '../define/view.ts';
import { addDigests, type ShardDigest } from './digest.ts';
import type { FoldableEvent } from './fold.ts';
import { featureTag, readyTagsOf } from './groups.ts';
import { type Layouts, shardOf, shardsOf } from './layout.ts';
import { type Announcement, READY } from './open-folds.ts';
import { routeEvents } from './shards.ts';

/** The most changed keys that one invalidation covers. */
export const CHANGED_KEYS_MAX = 500;

export interface FlipOutcome {
  /** Digests of the features that were read before the flip and after it. Both are of one moment, without a fold between. */
  readonly before: ShardDigest;
  readonly after: ShardDigest;
}

/** How far one step of a shard has come. `superseded`: another run is open, or the definitions of features changed. */
export type FlipStep =
  | { readonly state: 'superseded' }
  | { readonly state: 'comparing' }
  | { readonly state: 'flipped'; readonly outcome: FlipOutcome };

/** The most calls to shards that one step of flipping makes, so that a request ends within some seconds. */
export const FLIP_CALLS_MAX = 100;

/** The shards as a rebuild uses them. All methods are idempotent. */
export interface RebuildPort {
  /** How many shards the entities have. */
  readonly layouts: () => Promise<Layouts>;
  begin(shard: string, entity: string, run: string): Promise<void>;
  /** Folds events into the rebuild's cells; false if another run is open. */
  build(shard: string, entity: string, run: string, events: readonly FoldableEvent[]): Promise<boolean>;
  /** Does one step towards serving the rebuild's cells. */
  flip(shard: string, entity: string, run: string): Promise<FlipStep>;
  changedKeys(shard: string, limit: number): Promise<readonly string[]>;
  /** Removes changed keys that were invalidated at the moment `at` or before. */
  settle(shard: string, keys: readonly string[], at: ClockMoment): Promise<void>;
  /** Tells a shard that what it serves since a flip is invalidated. */
  announced(shard: string, announcement: Announcement, at: ClockMoment): Promise<unknown>;
}

/** The names of all shards that these features have, with their entities. */
export function allShards(
  features: readonly FeatureDefinition[],
  layouts: Layouts,
): { shard: string; entity: string }[] {
  const entities = [...new Set(features.map(({ entity }) => entity.name))];
  return entities.flatMap((entity) =>
    shardsOf(entity, layouts.get(entity)).map((shard) => ({ shard, entity })),
  );
}

/** The shard of a key in these layouts. */
export function shardIn(layouts: Layouts) {
  return (entity: string, key: string) => shardOf(entity, key, layouts.get(entity));
}

/** Opens a rebuild in every shard. After it resolves, live events are folded into the rebuild's cells as well. */
export async function beginRebuild(
  features: readonly FeatureDefinition[],
  run: string,
  shards: RebuildPort,
): Promise<void> {
  const all = allShards(features, await shards.layouts());
  await Promise.all(all.map(({ shard, entity }) => shards.begin(shard, entity, run)));
}

/** Folds events of history into the rebuild's cells; false if another run has been opened. */
export async function buildFrom(
  features: readonly FeatureDefinition[],
  run: string,
  events: readonly FoldableEvent[],
  shards: RebuildPort,
): Promise<boolean> {
  const routes = [...routeEvents(features, events, shardIn(await shards.layouts()))];
  const taken = await Promise.all(
    routes.map(([shard, route]) => shards.build(shard, route.entity, run, route.events)),
  );
  return taken.every(Boolean);
}

/**
 * Flips the shards one after another and invalidates the features that changed. It makes a bounded number of calls;
 * while the state is `comparing`, call it again. Shards that are flipped already answer at once.
 */
export async function flipAll(
  features: readonly FeatureDefinition[],
  run: string,
  shards: RebuildPort,
  invalidate: (tags: readonly string[]) => Promise<ClockMoment>,
): Promise<FlipStep> {
  const outcomes: FlipOutcome[] = [];
  let calls = 0;
  const all = allShards(features, await shards.layouts());
  for (const { shard, entity } of all) {
    let step = await shards.flip(shard, entity, run);
    for (; step.state === 'comparing'; calls += 1) {
      if (calls >= FLIP_CALLS_MAX) return step;
      step = await shards.flip(shard, entity, run);
    }
    if (step.state === 'superseded') return step;
    outcomes.push(step.outcome);
    for (;;) {
      const keys = await shards.changedKeys(shard, CHANGED_KEYS_MAX);
      if (keys.length === 0) break;
      const at = await invalidate(keys.map((key) => featureTag(entity, key)));
      await shards.settle(shard, keys, at);
      calls += 1;
      if (calls >= FLIP_CALLS_MAX) return { state: 'comparing' };
    }
  }
  // A rebuild makes features ready that were being built.
  const at = await invalidate(readyTagsOf(features));
  // A shard that is not told has its readers invalidate again.
  await Promise.allSettled(all.map(({ shard }) => shards.announced(shard, READY, at)));
  return {
    state: 'flipped',
    outcome: {
      before: addDigests(outcomes.map(({ before }) => before)),
      after: addDigests(outcomes.map(({ after }) => after)),
    },
  };
}
