import type { FeatureDefinition } from '../define/feature.ts';
import { contributionsOf, type FoldableEvent } from './fold.ts';

/**
 * Shards an entity's keys over this many objects. It is part of the objects' names: with another number the
 * features have to be made anew from history.
 */
export const SHARDS_PER_ENTITY = 8;

/** Bounds of one call to a shard; the `changes` consumer and the feature reader keep to them. */
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

/** What an answer made from one key's features depends on. */
export function featureTag(entity: string, key: string): string {
  return `features:${entity}:${key}`;
}

/** Which shards have to fold which events. */
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
      // An event may count for several features and keys of one shard, which sorts that out: it is sent once.
      if (route.events.at(-1) !== event) route.events.push(event);
      routes.set(shard, route);
    }
  }
  return routes;
}
