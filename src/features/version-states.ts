import type { FeatureDefinition } from '../define/feature.ts';
import type { KnownVersion } from '../storage/postgres/feature-versions.ts';
import type { Replay } from '../storage/postgres/replays.ts';
import { versionOf } from './cell-rule.ts';

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
}

export interface BackfillProgress {
  /** Events of history that were read so far, and how many there are to read. */
  readonly events: number;
  readonly total: number;
}

/** The most retired versions that are listed. */
const RETIRED_MAX = 1_000;

/** The versions of all features: those of the catalog in its order, then those that no release has any more. */
export function versionStates(
  definitions: readonly FeatureDefinition[],
  known: readonly KnownVersion[],
): StateOfVersion[] {
  const current = definitions.map(versionOf);
  const keyOf = ({ entity, feature, digest }: Pick<StateOfVersion, 'entity' | 'feature' | 'digest'>) =>
    JSON.stringify([entity, feature, digest]);
  const rows = new Map(known.map((row) => [keyOf(row), row]));
  const isCurrent = new Set(current.map(keyOf));
  return [
    ...current.map((version): StateOfVersion => {
      const row = rows.get(keyOf(version));
      const { entity, feature, digest } = version;
      return row === undefined || row.isRetired
        ? { entity, feature, digest, state: 'waiting', since: null }
        : { entity, feature, digest, state: row.state, since: row.since };
    }),
    ...known
      .filter((row) => !isCurrent.has(keyOf(row)))
      .slice(-RETIRED_MAX)
      .map(
        ({ entity, feature, digest, since }): StateOfVersion => ({
          ...{ entity, feature, digest, since },
          state: 'retired',
        }),
      ),
  ];
}

/** How far the backfill is that is under way; undefined without one. */
export function backfillProgress(replay: Replay | undefined): BackfillProgress | undefined {
  if (replay?.state !== 'open' && replay?.state !== 'flipping') return undefined;
  return { events: replay.replayed, total: replay.total };
}
