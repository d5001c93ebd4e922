import type { FeatureDefinition } from '../define/feature.ts';
import type { FeatureRow } from '../define/feature-value.ts';
import type { ClockMoment } from '../define/view.ts';
import { Failure } from '../platform/failure.ts';
import { isObjectAway } from '../storage/outage.ts';
import { contributionsOf, type FoldableEvent } from './fold.ts';
import { featureTag } from './groups.ts';
import { countOf, KnownMoves, moveIn, shardOf } from './layout.ts';
import type { Announcement, Told } from './open-folds.ts';

export type { FeatureRow };
export { shardOf };

/** Limits of one call to a shard. The `changes` consumer and the feature reader keep to them. */
export const FOLD_EVENTS_MAX = 5_000;
export const READ_KEYS_MAX = 100;

/** Events for one shard. */
interface Route {
  readonly entity: string;
  readonly events: FoldableEvent[];
}

/**
 * Groups events by the shards that have to fold them.
 *
 * @param shardOfKey the shard of a key; undefined for keys that are none of the caller's.
 */
export function routeEvents(
  features: readonly FeatureDefinition[],
  events: readonly FoldableEvent[],
  shardOfKey: (entity: string, key: string) => string | undefined = shardOf,
): Map<string, Route> {
  const routes = new Map<string, Route>();
  for (const event of events) {
    for (const { definition, contribution } of contributionsOf(features, event)) {
      const entity = definition.entity.name;
      const shard = shardOfKey(entity, contribution.key);
      if (shard === undefined) continue;
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
  /** What is known of shards that have moved. Without it, each call learns anew. */
  readonly moves?: KnownMoves | undefined;
  /**
   * @param copiedTo the number of shards of the layout into which the events were folded before.
   * @throws ShardMoved
   */
  fold(
    shard: string,
    entity: string,
    events: readonly FoldableEvent[],
    copiedTo?: number,
  ): Promise<{ readonly keys: readonly string[]; readonly fold: number }>;
  /** @throws ShardMoved */
  read(shard: string, entity: string, keys: readonly string[], now: number): Promise<readonly FeatureRow[]>;
}

/** What a fold has changed. */
export interface Folded {
  /** The tags of the features that may have changed. The caller has to invalidate them. */
  readonly tags: readonly string[];
  /** What each shard has folded. The caller has to tell the shards once the tags are invalidated. */
  readonly parts: readonly { readonly shard: string; readonly announcement: Announcement }[];
}

/** The part of a shard in a fold. */
type Part = Folded['parts'][number] & { readonly entity: string };

/**
 * Folds stored events into the shards that they count for, and while more shards are being filled, into those first. An
 * event that was folded before changes nothing.
 */
export async function foldEvents(
  features: readonly FeatureDefinition[],
  events: readonly FoldableEvent[],
  shards: Pick<ShardPort, 'fold' | 'moves'>,
): Promise<Folded> {
  const moves = shards.moves ?? new KnownMoves();
  const folding = { features, moves, fold: shards.fold.bind(shards) };
  const parts = await foldRoutes(
    routeEvents(features, events, (entity, key) => moves.shardOf(entity, key)),
    folding,
  );
  const tags = parts.flatMap(({ entity, announcement }) =>
    announcement.keys.map((part) => featureTag(entity, part)),
  );
  return {
    tags: [...new Set(tags)],
    parts: parts.map(({ shard, announcement }) => ({ shard, announcement })),
  };
}

interface Folding {
  readonly features: readonly FeatureDefinition[];
  readonly moves: KnownMoves;
  readonly fold: ShardPort['fold'];
}

async function foldRoutes(routes: ReadonlyMap<string, Route>, folding: Folding): Promise<Part[]> {
  const calls = [...routes].flatMap(([shard, route]) => callsOf(shard, route));
  return (await Promise.all(calls.map((call) => foldCall(call, folding)))).flat();
}

/** Folds events into a shard, into the shards that get its keys before, and into those that have them instead. */
async function foldCall(call: Route & { readonly shard: string }, folding: Folding): Promise<Part[]> {
  const { shard, entity, events } = call;
  const { moves, fold } = folding;
  const copiedTo = moves.copiedTo(shard);
  const copies = copiedTo === undefined ? [] : await foldElsewhere(call, copiedTo, folding);
  try {
    const { keys, fold: number } = await fold(shard, entity, events, copiedTo);
    return [...copies, { shard, entity, announcement: { keys, fold: number, ready: false } }];
  } catch (error) {
    const move = moveIn(error);
    if (move === undefined || (move.state === 'copied' && move.shards === copiedTo)) throw error;
    moves.note(shard, move);
    if (move.state === 'copied') return await foldCall(call, folding);
    return move.shards === copiedTo ? copies : await foldElsewhere(call, move.shards, folding);
  }
}

/** Folds the events of a shard into the shards of another layout that have its keys. */
async function foldElsewhere(
  { shard, entity, events }: Route & { readonly shard: string },
  to: number,
  folding: Folding,
): Promise<Part[]> {
  const { features, moves } = folding;
  const own = features.filter((definition) => definition.entity.name === entity);
  const from = countOf(shard);
  const routes = routeEvents(own, events, (_, key) =>
    shardOf(entity, key, from) === shard ? moves.shardOf(entity, key, to) : undefined,
  );
  return await foldRoutes(routes, folding);
}

/** Announcements that a shard was not told yet, by the name of the shard. */
export type Untold = Map<string, readonly Told[]>;

export interface AnnouncePorts {
  readonly fold: (events: readonly FoldableEvent[]) => Promise<Folded>;
  /** Returns the moment of the invalidation once the root clock has it on disk. */
  readonly invalidate: (tags: readonly string[]) => Promise<ClockMoment>;
  readonly announced: (shard: string, announcement: Announcement, at: ClockMoment) => Promise<unknown>;
  /** Keeps work alive after the caller's own. */
  readonly keepAlive: (work: Promise<unknown>) => void;
}

/** What a fold has invalidated. */
export interface Invalidated {
  /** Null if others have invalidated all of it before, at a moment that is not known; undefined if no feature depends on it. */
  readonly at: ClockMoment | null | undefined;
  readonly untold: Untold;
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
  ports: AnnouncePorts,
): Promise<ClockMoment | null | undefined> {
  const { at, untold } = await invalidateFolded(await ports.fold(events), ports);
  tellShards(untold, ports);
  return at;
}

/** Invalidates what a fold has changed. The caller tells the shards. */
export async function invalidateFolded(
  { tags, parts }: Folded,
  { invalidate }: Pick<AnnouncePorts, 'invalidate'>,
): Promise<Invalidated> {
  const untold: Untold = new Map();
  if (tags.length === 0) return { at: parts.length === 0 ? undefined : null, untold };
  const at = await invalidate(tags);
  for (const { shard, announcement } of parts)
    if (announcement.keys.length > 0) untold.set(shard, [...(untold.get(shard) ?? []), { announcement, at }]);
  return { at, untold };
}

/** Tells shards what is invalidated, and does not wait for them. */
export function tellShards(untold: Untold, { announced, keepAlive }: AnnouncingPorts): void {
  for (const [shard, told] of untold)
    for (const { announcement, at } of told)
      keepAlive(announced(shard, announcement, at).catch(() => undefined));
}

type AnnouncingPorts = Pick<AnnouncePorts, 'announced' | 'keepAlive'>;

/** The calls that fold the events of one shard: one, unless they are more than a call may fold. */
function callsOf(shard: string, { entity, events }: Route) {
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
  shards: Pick<ShardPort, 'read' | 'moves'>,
): Promise<FeatureRow[]> {
  const answers = await askShards(entity, keys, shards.moves, (shard, own) =>
    shards.read(shard, entity, own, now),
  );
  const rows = new Map(
    answers.flatMap(({ keys: own, answer }) => own.map((key, index) => [key, answer[index] ?? {}] as const)),
  );
  return keys.map((key) => rows.get(key) ?? {});
}

/**
 * How an answer gets the features of keys of one entity as of `now`, in the order of the keys: from their shards, or from rows
 * in memory that the tag clock says are current.
 *
 * @throws Failure `features_unavailable`
 */
export type ReadFeatures = (
  entity: string,
  keys: readonly string[],
  now: number,
) => Promise<readonly FeatureRow[]>;

/**
 * Asks the shards of these keys, each for its own different ones, and follows those that have moved.
 *
 * @throws Failure `features_unavailable` if a shard does not answer.
 */
export async function askShards<T>(
  entity: string,
  keys: readonly string[],
  moves: KnownMoves = new KnownMoves(),
  ask: (shard: string, keys: readonly string[]) => Promise<T>,
): Promise<{ readonly keys: readonly string[]; readonly answer: T }[]> {
  const byShard = Map.groupBy(new Set(keys), (key) => moves.shardOf(entity, key));
  const answers = [...byShard].map(async ([shard, own]) => {
    try {
      return [{ keys: own, answer: await fromShard(() => ask(shard, own)) }];
    } catch (error) {
      const move = moveIn(error);
      if (move?.state !== 'moved') throw error;
      moves.note(shard, move);
      return await askShards(entity, own, moves, ask);
    }
  });
  return (await Promise.all(answers)).flat();
}

/** Turns an unreachable shard into a failure. An error of the shard's own code is no outage and passes unchanged. */
async function fromShard<T>(ask: () => Promise<T>): Promise<T> {
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
