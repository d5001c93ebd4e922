import { isValid, type Stamp, type Token } from '../cache/clock/clock.ts';
import type { ClockFollower, FollowerContext } from '../cache/clock/follower.ts';
import { tagHashes } from '../cache/clock/tag-hash.ts';
import { purgeTags } from '../cache/entry.ts';
import type { Consistency } from '../cache/read-through.ts';
import { type FeatureDefinition, readNames } from '../define/feature.ts';
import type { FeatureRow, FeatureStatus, FeatureValue } from '../define/feature-value.ts';
import { Failure } from '../platform/failure.ts';
import { featureTag, groupsOf, readyTag, tagsIn } from './groups.ts';
import { withinAge } from './read.ts';
import { laterMoment, type Moment, type ReaderShards, type Watched } from './seen-folds.ts';
import { readFeatures } from './shards.ts';
import { endOfTiles } from './slots.ts';
import { readVersions, type WasReplaced } from './version-reads.ts';

/** How old the mirror of the clock may be for a reader who asks for no level, in milliseconds. */
const BOUND_MS = 2_000;
/** The name of these answers in a purge. */
export const FEATURES_VIEW = 'features';

/**
 * Rough sizes in memory: of an entry beside its values, of a value, and of an item of a list. In Node's heap, which has no
 * pointer compression, a value of a row takes 121 bytes; the names are the same texts in all rows.
 */
const ENTRY_BYTES = 512;
const VALUE_BYTES = 128;
const ITEM_BYTES = 128;

/** The features of one key as of its fill. */
interface CachedRow extends Stamp {
  readonly row: FeatureRow;
  readonly tagHashes: readonly number[];
  /** The moments between which no window moves: the fill, and the end of the shortest tile. */
  readonly filledAt: number;
  readonly endsAt: number;
  /** The `seq` by which every fold that the row shows is invalidated; undefined if the stamp is enough. */
  readonly asOf: number | undefined;
  readonly bytes: number;
}

/** The rows of features that an isolate keeps, bounded in bytes. It evicts the least recently used row first. */
export class RowCache {
  readonly #bytesMax: number;
  readonly #rows = new Map<string, CachedRow>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(key: string): CachedRow | undefined {
    const found = this.#rows.get(key);
    if (found === undefined) return undefined;
    this.#rows.delete(key);
    this.#rows.set(key, found);
    return found;
  }

  put(key: string, row: CachedRow): void {
    this.#drop(key);
    if (row.bytes > this.#bytesMax) return;
    this.#rows.set(key, row);
    this.#bytes += row.bytes;
    for (const oldest of this.#rows.keys()) {
      if (this.#bytes <= this.#bytesMax) break;
      this.#drop(oldest);
    }
  }

  #drop(key: string): void {
    this.#bytes -= this.#rows.get(key)?.bytes ?? 0;
    this.#rows.delete(key);
  }
}

export interface RowPorts {
  readonly cache: RowCache;
  readonly follower: Pick<ClockFollower, 'begin' | 'ensure' | 'mirror'>;
  readonly context: FollowerContext;
  /** The shards for one answer, beginning now. */
  readonly watch: () => Watched;
  /** All features of the catalog. */
  readonly features: readonly FeatureDefinition[];
  readonly wasReplaced: WasReplaced;
}

/** What a read asks for. */
export interface RowsAsked {
  readonly entity: string;
  /** The canonical texts of the keys. */
  readonly keys: readonly string[];
  /** Milliseconds since the Unix epoch. */
  readonly now: number;
  /** Names of versions of features, such as `spent_7d@0123456789ab`. Without it, all features of this release are read. */
  readonly versions?: readonly string[] | undefined;
}

export interface ReadRows {
  /** In the order of the keys. */
  readonly rows: readonly FeatureRow[];
  /** How many of the different keys were read from shards. */
  readonly missed: number;
  readonly asked: number;
  /** Whether the clock could not be reached, so that all keys were read from shards and none was kept. */
  readonly isBypassed: boolean;
  /** Set if no row came from memory because the cache is switched off. */
  readonly isOff?: boolean;
  /** The moment that covers all rows; undefined if it is not known, or while the clock cannot be reached. */
  readonly token: Token | undefined;
}

/**
 * The features of keys of one entity as of `now`, from the isolate's memory while the tag clock says that they are current,
 * else from their shards. A row from memory has the values that its shard would give: it is used within the tiles that it
 * was filled in only, and what depends on the moment itself is computed for each read. The stamp is taken before the shards
 * are read, so a fold that is invalidated meanwhile leaves a row that is stale from the start.
 *
 * Without the clock the shards are read. They have every fold that was invalidated, which satisfies every level.
 *
 * @throws Failure `features_unavailable`, `token_from_another_epoch`, `token_from_the_future`,
 *   `unknown_feature_version`, `feature_version_gone`
 */
export async function readRows(
  asked: RowsAsked,
  { level, atLeast }: Consistency,
  ports: RowPorts,
): Promise<ReadRows> {
  const { entity, keys, now } = asked;
  const { follower, context, cache } = ports;
  const unique = [...new Set(keys)];
  const own = ports.features.filter((definition) => definition.entity.name === entity);
  const source = sourceOf(asked, own, ports.wasReplaced);
  const need = { maxAgeMs: level === 'strong' ? 0 : BOUND_MS, atLeast };
  try {
    await follower.ensure(need, follower.begin(), context);
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'clock_unavailable') throw error;
    const { rows } = await source.read(keys, ports.watch().shards);
    const all = { missed: unique.length, asked: unique.length };
    return { rows, ...all, isBypassed: true, token: undefined };
  }
  const { clock } = follower.mirror;
  const { epoch } = clock;
  const isOff = clock.phases.states.cache === 'off';
  const found = new Map<string, FeatureRow>();
  let covering: Moment = { epoch, seq: clock.seq };
  for (const key of unique) {
    const kept = isOff ? undefined : cache.get(source.idOf(key));
    if (kept === undefined || now < kept.filledAt || now >= kept.endsAt) continue;
    if (!isValid(clock, kept, kept.tagHashes)) continue;
    found.set(key, source.asOf(kept.row));
    if (kept.asOf !== undefined) covering = laterMoment(covering, { epoch, seq: kept.asOf });
  }
  const missing = unique.filter((key) => !found.has(key));
  if (missing.length > 0) {
    const stamp = { epoch, stamp: clock.seq };
    const groups = groupsOf(own);
    const watched = ports.watch();
    const { rows: read, endsAt } = await source.read(missing, watched.shards);
    const moment = await watched.moment();
    covering = laterMoment(covering, moment);
    for (const [index, row] of read.entries()) {
      const key = missing[index] ?? '';
      found.set(key, row);
      if (
        clock.phases.states.cache !== 'on' ||
        !isKeepable(row) ||
        moment === null ||
        (moment !== undefined && moment.epoch !== epoch)
      )
        continue;
      const tag = featureTag(entity, key);
      const parts = tagsIn(entity, key, groups);
      const hashes = tagHashes([...parts, readyTag(entity), ...purgeTags(FEATURES_VIEW, tag)]);
      const times = { filledAt: now, endsAt, asOf: moment?.seq };
      const id = source.idOf(key);
      cache.put(id, { ...stamp, row, tagHashes: hashes, ...times, bytes: bytesOf(id, row) });
    }
  }
  // Rows of an epoch that has ended meanwhile may show what no moment of it covers.
  const isOver = follower.mirror.clock.epoch !== epoch;
  return {
    rows: keys.map((key) => found.get(key) ?? {}),
    missed: missing.length,
    asked: unique.length,
    isBypassed: false,
    ...(isOff ? { isOff } : {}),
    token: isOver ? undefined : (covering ?? undefined),
  };
}

/** Where the rows of one read come from, and how they are kept. */
interface RowSource {
  /** The identity of a key's row in memory. */
  idOf(key: string): string;
  read(
    keys: readonly string[],
    shards: ReaderShards,
  ): Promise<{ readonly rows: readonly FeatureRow[]; readonly endsAt: number }>;
  /** A row from memory as of this read. */
  asOf(row: FeatureRow): FeatureRow;
}

/** All features of this release, or versions of features, which have rows of their own in memory. */
function sourceOf(
  { entity, now, versions }: RowsAsked,
  own: readonly FeatureDefinition[],
  wasReplaced: WasReplaced,
): RowSource {
  if (versions !== undefined)
    return {
      idOf: (key) => JSON.stringify([featureTag(entity, key), ...versions]),
      read: async (keys, shards) => {
        const { rows, until } = await readVersions(entity, keys, versions, now, { shards, wasReplaced });
        return { rows, endsAt: until };
      },
      // The row is kept only as long as nothing in it changes.
      asOf: (row) => row,
    };
  return {
    idOf: (key) => featureTag(entity, key),
    read: async (keys, shards) => ({
      rows: await readFeatures(entity, keys, now, shards),
      endsAt: endOfTiles(own, now),
    }),
    asOf: (row) => asOf(row, own, now),
  };
}

/** The statuses that change with events and with time alone. */
const KEPT = new Set<FeatureStatus>(['PRESENT', 'NULL_VALUE', 'NOT_FOUND', 'OUTSIDE_MAX_AGE']);

function isKeepable(row: FeatureRow): boolean {
  return Object.values(row).every(({ status }) => KEPT.has(status));
}

/** The row as of a later moment of the same tiles: times to live end, and the time since the last event grows. */
export function asOf(row: FeatureRow, features: readonly FeatureDefinition[], now: number): FeatureRow {
  const changed: Record<string, FeatureValue> = {};
  for (const definition of features) {
    if (definition.ttlMs === null && definition.aggregate !== 'since_last') continue;
    for (const name of readNames(definition)) {
      const read = row[name];
      if (read === undefined) continue;
      const { status, eventAt } = read;
      const isSince = definition.aggregate === 'since_last' && status === 'PRESENT' && eventAt !== null;
      const value = isSince ? { ...read, value: Math.max(0, now - eventAt) / 1_000 } : read;
      changed[name] = definition.ttlMs === null ? value : withinAge(value, definition.ttlMs, now);
    }
  }
  return Object.keys(changed).length === 0 ? row : { ...row, ...changed };
}

function bytesOf(tag: string, row: FeatureRow): number {
  return Object.values(row).reduce(
    (bytes, { value }) => {
      const content = Array.isArray(value)
        ? value.length * ITEM_BYTES
        : typeof value === 'string'
          ? value.length * 2
          : 0;
      return bytes + VALUE_BYTES + content;
    },
    ENTRY_BYTES + tag.length * 2,
  );
}
