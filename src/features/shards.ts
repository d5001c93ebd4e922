import type { FeatureDefinition } from '../define/feature.ts';
import { contributionsOf, type FoldableEvent } from './fold.ts';

/**
 * The number of shards of an entity's keys. It is part of the objects' names: after a change of it, the features have
 * to be rebuilt from history.
 */
export const SHARDS_PER_ENTITY = 8;

/** Limits of one call to a shard. The `changes` consumer and the feature reader keep to them. */
export const FOLD_EVENTS_MAX = 5_000;
export const READ_KEYS_MAX = 100;

/** The name of the shard that holds one key: `station/3`. */
export function shardOf(entity: string, key: string): string {
  let hash = 0x811c9dc5;
  for (let index = 0; index < key.length; index += 1) {
    hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193);
  }
  return `${entity}/${(hash >>> 0) % SHARDS_PER_ENTITY}`;
}

/** The names of all shards of an entity. */
export function shardsOf(entity: string): string[] {
  return Array.from({ length: SHARDS_PER_ENTITY }, (_, index) => `${entity}/${index}`);
}

/** The tag of every answer that depends on one key's features. */
export function featureTag(entity: string, key: string): string {
  return `features:${entity}:${key}`;
}

/** Groups events by the shards that have to fold them. */
export function routeEvents(
  features: readonly FeatureDefinition[],
  events: readonly FoldableEvent[],
): Map<string, { entity: string; events: FoldableEvent[] }> {
  const routes = new Map<string, { entity: string; events: FoldableEvent[] }>();
  for (const event of events) {
    for (const { definition, contribution } of contributionsOf(features, event)) {
      const entity = definition.entity.name;
      const shard = shardOf(entity, contribution.key);
      const route = routes.get(shard) ?? { entity, events: [] };
      // Sent once per shard, even if it counts for several features or keys there: the shard computes all its cells.
      if (route.events.at(-1) !== event) route.events.push(event);
      routes.set(shard, route);
    }
  }
  return routes;
}
