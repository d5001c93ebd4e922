import type { FeatureDefinition } from '../define/feature.ts';
import type { KnownVersion } from '../storage/postgres/feature-versions.ts';
import type { Replay } from '../storage/postgres/replays.ts';
import { versionOf } from './cell-rule.ts';
import { digitsOf, type OldVersion, readableUntil } from './old-versions.ts';

/**
 * - `ready`: reads get its values.
 * - `filling`: a backfill folds its events from history; reads get `NOT_READY`.
 * - `waiting`: the release has it, and no backfill has begun yet; reads get `NOT_READY`, unless the shards have it from a
 *   release before.
 * - `pruned`: retention has deleted events that it needs; reads get `NOT_READY` until its windows begin after them.
 * - `retired`: no release has it any more.
 */
export const FEATURE_STATES = ['ready', 'filling', 'waiting', 'pruned', 'retired'] as const;

export interface StateOfVersion {
  readonly entity: string;
  readonly feature: string;
  /** SHA-256, in hexadecimal, of what decides what the feature's cells contain. */
  readonly digest: string;
  readonly state: (typeof FEATURE_STATES)[number];
  /** Since when, by the database's clock, in ISO 8601; null while no backfill has begun. */
  readonly since: string | null;
  /** What a read appends to a name of the feature for this version: "@" and the first digits of the digest. */
  readonly suffix: string;
  /** Whether reads get values of it by that name; null if the shards did not say. */
  readonly readable: boolean | null;
  /** When it stops being read, in ISO 8601; null for a version of the catalog, and for one that is not read. */
  readonly readableUntil: string | null;
}

export interface BackfillProgress {
  /** Events of history that were read so far, and how many there are to read. */
  readonly events: number;
  readonly total: number;
}

/** The replaced versions that one shard keeps. */
export interface ShardVersions {
  readonly entity: string;
  readonly versions: readonly OldVersion[];
}

/** The most retired versions that are listed. */
const RETIRED_MAX = 1_000;

/**
 * The versions of all features: those of the catalog in its order, then those that no release has any more.
 *
 * @param old the replaced versions that each shard keeps; undefined if one did not answer.
 */
export function versionStates(
  definitions: readonly FeatureDefinition[],
  known: readonly KnownVersion[],
  old: readonly ShardVersions[] | undefined,
): StateOfVersion[] {
  const current = definitions.map(versionOf);
  const keyOf = ({ entity, feature, digest }: Pick<StateOfVersion, 'entity' | 'feature' | 'digest'>) =>
    JSON.stringify([entity, feature, digest]);
  const rows = new Map(known.map((row) => [keyOf(row), row]));
  const isCurrent = new Set(current.map(keyOf));
  return [
    ...current.map((version): StateOfVersion => {
      const row = rows.get(keyOf(version));
      const isKnown = row !== undefined && !row.isRetired;
      const state = isKnown ? row.state : 'waiting';
      return {
        ...{ ...version, state, since: isKnown ? row.since : null, suffix: `@${digitsOf(version.digest)}` },
        ...{ readable: state === 'ready', readableUntil: null },
      };
    }),
    ...known
      .filter((row) => !isCurrent.has(keyOf(row)))
      .slice(-RETIRED_MAX)
      .map(({ entity, feature, digest, since }): StateOfVersion => {
        const until = keptUntil({ entity, digest }, old);
        return {
          ...{ entity, feature, digest, since, state: 'retired', suffix: `@${digitsOf(digest)}` },
          readable: old === undefined ? null : until !== undefined,
          readableUntil: until === undefined ? null : new Date(until).toISOString(),
        };
      }),
  ];
}

/** Until when all shards of the entity keep a version; undefined if one does not. */
function keptUntil(
  { entity, digest }: Pick<StateOfVersion, 'entity' | 'digest'>,
  old: readonly ShardVersions[] | undefined,
): number | undefined {
  const own = (old ?? []).filter((shard) => shard.entity === entity);
  const kept = own.map(({ versions }) => versions.find((one) => one.digest === digest)?.replacedAt);
  if (kept.length === 0) return undefined;
  return kept.reduce<number | undefined>((least, replacedAt) => {
    if (least === undefined || replacedAt === undefined) return undefined;
    return Math.min(least, readableUntil(replacedAt));
  }, Number.POSITIVE_INFINITY);
}

/** How far the backfill is that is under way; undefined without one. */
export function backfillProgress(replay: Replay | undefined): BackfillProgress | undefined {
  if (replay?.state !== 'open' && replay?.state !== 'flipping') return undefined;
  return { events: replay.replayed, total: replay.total };
}
