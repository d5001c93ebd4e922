import type { FeatureRow } from '../define/feature-value.ts';
import { Failure } from '../platform/failure.ts';
import { countOf, SHARDS_PER_ENTITY } from './layout.ts';
import type { VersionShards } from './seen-folds.ts';
import { askShards } from './shards.ts';

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
  const answers = await askShards(entity, keys, shards.moves, async (shard, own) => {
    const read = await shards.readVersions(shard, entity, own, names, now);
    const [unknown] = read.unknown;
    if (unknown !== undefined) throw unknownVersion(unknown, undefined, countOf(shard));
    return read;
  });
  const rows = new Map(
    answers.flatMap(({ keys: own, answer }) => own.map((key, at) => [key, answer.rows[at] ?? {}] as const)),
  );
  return {
    rows: keys.map((key) => rows.get(key) ?? {}),
    until: Math.min(...answers.map(({ answer }) => answer.until)),
  };
}

/** @param shards how many shards the entity has: replaced versions did not move to more of them. */
export function unknownVersion(name: string, pointer?: string, shards = SHARDS_PER_ENTITY): Failure {
  const ended =
    shards > SHARDS_PER_ENTITY
      ? `A version that was replaced before its entity got ${shards} shards is not kept. `
      : '';
  return new Failure(
    'unknown_feature_version',
    `"${name}" names no version that is kept. ${ended}GET /v1/admin/features lists the names that are read.`,
    pointer === undefined ? {} : { pointer },
  );
}
