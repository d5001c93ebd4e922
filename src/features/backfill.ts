import type { FeatureDefinition } from '../define/feature.ts';
import type { ClockMoment } from '../define/view.ts';
import type { KnownVersion } from '../storage/postgres/feature-versions.ts';
import type { HistoryBounds, HistoryRange } from '../storage/postgres/history.ts';
import type { Replay } from '../storage/postgres/replays.ts';
import { eventsTarget, type Pruned } from '../storage/postgres/retention.ts';
import { type FeatureVersion, versionOf } from './cell-rule.ts';
import type { FoldableEvent } from './fold.ts';
import { featureTag, readyTagsOf } from './groups.ts';
import type { Layouts } from './layout.ts';
import { type Announcement, READY } from './open-folds.ts';
import { allShards, shardIn } from './rebuild.ts';
import { horizonOf, oldestTile } from './retention.ts';
import { routeEvents } from './shards.ts';
import { slotsOf } from './slots.ts';

/** The most events of one page: it costs one statement and a call to each shard. */
export const PAGE_EVENTS = 2_000;
/** The shortest time, in milliseconds, between a deletion's newest event and the beginning of a window that is whole. */
const CLOCKS_APART_MS = 86_400_000;

/** The shards as a backfill uses them. All methods are idempotent. */
export interface BackfillShards {
  /** Opens a backfill of the features that are not served yet, and returns their names. */
  open(shard: string, entity: string, run: string): Promise<readonly string[]>;
  /** Folds events of history, and returns the keys of served features that have changed, with the shard's fold. */
  fill(
    shard: string,
    entity: string,
    events: readonly FoldableEvent[],
  ): Promise<{ readonly keys: readonly string[]; readonly fold: number }>;
  /** Tells a shard that what it has folded, or serves since, is invalidated. */
  announced(shard: string, announcement: Announcement, at: ClockMoment): Promise<unknown>;
  /** Serves features that the run has filled; false if another run has to fill them. */
  serve(shard: string, entity: string, run: string, features: readonly string[]): Promise<boolean>;
}

export interface BackfillPorts {
  /** All features of the catalog. */
  readonly features: readonly FeatureDefinition[];
  readonly shards: BackfillShards;
  readonly invalidate: (tags: readonly string[]) => Promise<ClockMoment>;
  readonly known: () => Promise<{
    /** How many shards the entities have. */
    readonly layouts: Layouts;
    readonly versions: readonly KnownVersion[];
    readonly replay: Replay | undefined;
  }>;
  readonly bounds: (range: HistoryRange) => Promise<HistoryBounds>;
  readonly history: (
    range: HistoryRange,
    page: { after: number; lastSeq: number; limit: number },
  ) => Promise<readonly FoldableEvent[]>;
  readonly pruned: () => Promise<readonly Pruned[]>;
  /** Records the state of each version, retires those that are not named, and opens the replay of `filling` ones. */
  readonly begin: (run: string, versions: readonly StatedVersion[], bounds: HistoryBounds) => Promise<void>;
  readonly advance: (
    replay: Replay,
    page: { cursor: number; events: number; isLast: boolean },
  ) => Promise<void>;
  /** Records that the versions of the run are ready, and ends its replay. */
  readonly end: (replay: Replay) => Promise<void>;
  readonly newId: () => string;
  readonly now: () => number;
  /** The most events of one page; only tests set it. */
  readonly pageEvents?: number;
}

export interface StatedVersion extends FeatureVersion {
  readonly state: KnownVersion['state'];
}

/**
 * Does the next step of building the features that are new or changed: begins, folds one page of history, or serves them.
 * Every step is idempotent, so a caller that dies in a step leaves nothing half-done.
 *
 * 1. Each shard folds live events into a new feature from the moment when it has the release, and answers `NOT_READY`.
 * 2. After that the greatest number in history is read. An event that commits later is folded live.
 * 3. The pages up to that number are folded. A shard takes each event once, whichever way it comes.
 * 4. Each shard serves the feature: it changes one row of the feature, and no cell.
 *
 * @param isForced asks the shards whether a feature is not served, although the database knows all of them as ready.
 * @returns whether anything is left to do.
 */
export async function backfillStep(ports: BackfillPorts, isForced = false): Promise<boolean> {
  const current = ports.features.map((definition) => ({ definition, ...versionOf(definition) }));
  const { versions, replay, layouts } = await ports.known();
  const waiting = current.filter((version) => {
    const row = versions.find((one) => isSame(one, version));
    return row === undefined || row.isRetired || row.state === 'filling';
  });
  const isOpen = replay?.state === 'open' || replay?.state === 'flipping';
  const ofRun = versions.filter(({ run, state }) => isOpen && state === 'filling' && run === replay.run);
  const isSameSet =
    ofRun.length === waiting.length && ofRun.every((one) => waiting.some((two) => isSame(one, two)));
  if (isOpen && isSameSet && waiting.length > 0)
    return await continued(
      replay,
      waiting.map(({ definition }) => definition),
      { ...ports, layouts },
    );
  const isGone = versions.some((row) => !row.isRetired && !current.some((version) => isSame(row, version)));
  if (waiting.length === 0 && !isGone && !isForced) return false;
  return await begun(current, versions, { ...ports, layouts });
}

/** The ports of a step, with the layouts as of its beginning. */
interface StepPorts extends BackfillPorts {
  readonly layouts: Layouts;
}

interface CurrentVersion extends FeatureVersion {
  readonly definition: FeatureDefinition;
}

async function begun(
  current: readonly CurrentVersion[],
  known: readonly KnownVersion[],
  ports: StepPorts,
): Promise<boolean> {
  const run = ports.newId();
  const unserved = new Set<string>();
  await Promise.all(
    allShards(ports.features, ports.layouts).map(async ({ shard, entity }) => {
      for (const name of await ports.shards.open(shard, entity, run))
        unserved.add(JSON.stringify([entity, name]));
    }),
  );
  const pruned = await ports.pruned();
  const now = ports.now();
  const stated = current.map(({ definition, ...version }): StatedVersion & CurrentVersion => {
    const isServed = !unserved.has(JSON.stringify([version.entity, version.feature]));
    const state = isServed ? 'ready' : isWhole(definition, pruned, now) ? 'filling' : 'pruned';
    return { ...version, definition, state };
  });
  const filling = stated.filter(({ state }) => state === 'filling').map(({ definition }) => definition);
  // Read after the shards are open: an event that commits later is folded live into the features.
  const bounds = await ports.bounds(rangeOf(filling));
  const isChanged =
    filling.length > 0 ||
    known.some((row) => !row.isRetired && !stated.some((one) => isSame(row, one))) ||
    stated.some((one) => !known.some((row) => isSame(row, one) && !row.isRetired && row.state === one.state));
  if (isChanged)
    await ports.begin(
      run,
      stated.map(({ entity, feature, digest, state }) => ({ entity, feature, digest, state })),
      bounds,
    );
  return filling.length > 0;
}

async function continued(
  replay: Replay,
  features: readonly FeatureDefinition[],
  ports: StepPorts,
): Promise<boolean> {
  const { shards, pageEvents = PAGE_EVENTS } = ports;
  if (replay.state === 'open') {
    const { cursor: after, lastSeq } = replay;
    const events = await ports.history(rangeOf(features), { after, lastSeq, limit: pageEvents });
    // Checked after reading, so that every deletion before the read is recorded by now.
    const pruned = await ports.pruned();
    if (!features.every((definition) => isWhole(definition, pruned, ports.now()))) {
      await begun(
        ports.features.map((definition) => ({ definition, ...versionOf(definition) })),
        [],
        ports,
      );
      return true;
    }
    await fillPage(routeEvents(features, events, shardIn(ports.layouts)), ports);
    const isLast = events.length < pageEvents;
    await ports.advance(replay, { cursor: events.at(-1)?.seq ?? after, events: events.length, isLast });
    return true;
  }
  for (const { shard, entity } of allShards(features, ports.layouts)) {
    if (await shards.serve(shard, entity, replay.run, namesOf(features, entity))) continue;
    // The shard has begun anew since: another release was there in between.
    await begun(
      ports.features.map((definition) => ({ definition, ...versionOf(definition) })),
      [],
      ports,
    );
    return true;
  }
  const at = await ports.invalidate(readyTagsOf(features));
  await told(
    allShards(features, ports.layouts).map(({ shard, entity }) => {
      const readyFeatures = namesOf(features, entity);
      return shards.announced(shard, { ...READY, readyFeatures }, at);
    }),
  );
  await ports.end(replay);
  return false;
}

function namesOf(features: readonly FeatureDefinition[], entity: string): string[] {
  return features.filter((definition) => definition.entity.name === entity).map(({ name }) => name);
}

/** Folds events of history into the features that lack them, and invalidates what that has changed of served ones. */
export async function fillPage(
  routes: ReturnType<typeof routeEvents>,
  { shards, invalidate }: Pick<BackfillPorts, 'shards' | 'invalidate'>,
): Promise<void> {
  const filled = await Promise.all(
    [...routes].map(async ([shard, { entity, events }]) => {
      const { keys, fold } = await shards.fill(shard, entity, events);
      return { shard, keys, fold, tags: keys.map((part) => featureTag(entity, part)) };
    }),
  );
  const changed = filled.filter(({ keys }) => keys.length > 0);
  if (changed.length === 0) return;
  const at = await invalidate(changed.flatMap(({ tags }) => tags));
  await told(
    changed.map(({ shard, keys, fold }) => shards.announced(shard, { keys, fold, ready: false }, at)),
  );
}

/** Waits for the shards. One that is not told has its readers invalidate again, so it stops nothing. */
export async function told(announcing: readonly Promise<unknown>[]): Promise<void> {
  await Promise.allSettled(announcing);
}

/**
 * Whether history has all events that a feature needs now. Retention deletes by the time when an event was recorded, which
 * is not much earlier than when it happened.
 */
export function isWhole(definition: FeatureDefinition, pruned: readonly Pruned[], now: number): boolean {
  const target = eventsTarget(definition.eventType);
  const until = pruned.find((one) => one.target === target)?.until;
  if (until === undefined) return true;
  return slotsOf(definition).every(
    (slot) =>
      slot.tiles > 0 && oldestTile(slot, horizonOf(now)) * slot.tileMs > Date.parse(until) + CLOCKS_APART_MS,
  );
}

export function rangeOf(features: readonly FeatureDefinition[]): HistoryRange {
  return { types: [...new Set(features.map(({ eventType }) => eventType))] };
}

function isSame(a: FeatureVersion, b: FeatureVersion): boolean {
  return a.entity === b.entity && a.feature === b.feature && a.digest === b.digest;
}
