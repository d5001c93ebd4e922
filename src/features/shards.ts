import type { FeatureDefinition } from '../define/feature.ts';
import type { FeatureRow } from '../define/feature-value.ts';
import type { ClockMoment } from '../define/view.ts';
import { Failure } from '../platform/failure.ts';
import { isObjectAway } from '../storage/outage.ts';
import { contributionsOf, type FoldableEvent } from './fold.ts';
import type { Announcement } from './open-folds.ts';

export type { FeatureRow };

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

/** The tag of every answer that depends on features of an entity. It is invalidated when a feature becomes ready. */
export function readyTag(entity: string): string {
  return `features-ready:${entity}`;
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

/** The shards as the store uses them. */
export interface ShardPort {
  fold(
    shard: string,
    entity: string,
    events: readonly FoldableEvent[],
  ): Promise<{ readonly keys: readonly string[]; readonly fold: number }>;
  read(shard: string, entity: string, keys: readonly string[], now: number): Promise<readonly FeatureRow[]>;
}

/** What a fold has changed. */
export interface Folded {
  /** The tags of the features that may have changed. The caller has to invalidate them. */
  readonly tags: readonly string[];
  /** What each shard has folded. The caller has to tell the shards once the tags are invalidated. */
  readonly parts: readonly { readonly shard: string; readonly announcement: Announcement }[];
}

/** Folds stored events into the shards that they count for. An event that was folded before changes nothing. */
export async function foldEvents(
  features: readonly FeatureDefinition[],
  events: readonly FoldableEvent[],
  shards: Pick<ShardPort, 'fold'>,
): Promise<Folded> {
  const routes = [...routeEvents(features, events)].flatMap(([shard, route]) => callsOf(shard, route));
  const folded = await Promise.all(
    routes.map(async ({ shard, entity, events: own }) => {
      const { keys, fold } = await shards.fold(shard, entity, own);
      const tags = keys.map((key) => featureTag(entity, key));
      return { tags, part: { shard, announcement: { keys, fold, ready: false } } };
    }),
  );
  return { tags: folded.flatMap(({ tags }) => tags), parts: folded.map(({ part }) => part) };
}

export interface AnnouncePorts {
  readonly fold: (events: readonly FoldableEvent[]) => Promise<Folded>;
  /** Returns the moment of the invalidation once the root clock has it on disk. */
  readonly invalidate: (tags: readonly string[]) => Promise<ClockMoment>;
  readonly announced: (shard: string, announcement: Announcement, at: ClockMoment) => Promise<unknown>;
  /** Keeps work alive after the caller's own. */
  readonly keepAlive: (work: Promise<unknown>) => void;
}

/**
 * Folds events, invalidates what they changed, and then tells the shards so. A shard that is not told has its readers
 * invalidate the keys once more, so nobody waits for it.
 *
 * @returns the moment of the invalidation. Null if others have invalidated all of it before, at a moment that is not
 *   known; undefined if no feature depends on the events.
 */
export async function foldAndInvalidate(
  events: readonly FoldableEvent[],
  { fold, invalidate, announced, keepAlive }: AnnouncePorts,
): Promise<ClockMoment | null | undefined> {
  const { tags, parts } = await fold(events);
  if (tags.length === 0) return parts.length === 0 ? undefined : null;
  const at = await invalidate(tags);
  for (const { shard, announcement } of parts)
    if (announcement.keys.length > 0) keepAlive(announced(shard, announcement, at).catch(() => undefined));
  return at;
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
  const rows = new Map<string, FeatureRow>();
  await Promise.all(
    [...byShard(entity, keys)].map(async ([shard, shardKeys]) => {
      const read = await fromShard(() => shards.read(shard, entity, shardKeys, now));
      for (const [index, key] of shardKeys.entries()) {
        const row = read[index];
        if (row !== undefined) rows.set(key, row);
      }
    }),
  );
  return keys.map((key) => rows.get(key) ?? {});
}

/** The different keys by the shards that have them. */
export function byShard(entity: string, keys: readonly string[]): Map<string, string[]> {
  return Map.groupBy(new Set(keys), (key) => shardOf(entity, key));
}

/** Turns an unreachable shard into a failure. An error of the shard's own code is no outage and passes unchanged. */
export async function fromShard<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!isObjectAway(error)) throw error;
    throw new Failure('features_unavailable', 'The feature store does not answer. Try again shortly.', {
      retryAfterS: 1,
      cause: error,
    });
  }
}
