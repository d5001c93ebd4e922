import type { FeatureRow } from '../define/feature-value.ts';
import { Failure } from '../platform/failure.ts';
import type { VersionShards } from './seen-folds.ts';
import { byShard, fromShard } from './shards.ts';

/**
 * Versions of features by their names, such as `spent_7d@0123456789ab`, in the order of the keys. The shards decide by the
 * digests that they keep, so a release that is only on its way never answers for another one.
 *
 * @throws Failure `features_unavailable` if a shard does not answer, `unknown_feature_version` if one does not keep a
 *   version.
 */
export async function readVersions(
  entity: string,
  keys: readonly string[],
  names: readonly string[],
  now: number,
  shards: VersionShards,
): Promise<{ readonly rows: FeatureRow[]; readonly until: number }> {
  const rows = new Map<string, FeatureRow>();
  const ends = await Promise.all(
    [...byShard(entity, keys)].map(async ([shard, own]) => {
      const read = await fromShard(() => shards.readVersions(shard, entity, own, names, now));
      const [unknown] = read.unknown;
      if (unknown !== undefined) throw unknownVersion(unknown);
      for (const [index, key] of own.entries()) rows.set(key, read.rows[index] ?? {});
      return read.until;
    }),
  );
  return { rows: keys.map((key) => rows.get(key) ?? {}), until: Math.min(...ends) };
}

export function unknownVersion(name: string, pointer?: string): Failure {
  return new Failure(
    'unknown_feature_version',
    `"${name}" names no version that is kept. GET /v1/admin/features lists the names that are read.`,
    pointer === undefined ? {} : { pointer },
  );
}
