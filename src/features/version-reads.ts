import type { FeatureRow } from '../define/feature-value.ts';
import { DAY_MS } from '../define/feature-window.ts';
import { Failure } from '../platform/failure.ts';
import { countOf, SHARDS_PER_ENTITY } from './layout.ts';
import { OLD_VERSION_MS, parseVersioned, type VersionedName } from './old-versions.ts';
import type { VersionShards } from './seen-folds.ts';
import { askShards } from './shards.ts';

/** Whether a release that is over had a version of a feature of an entity. It is asked only about a version that no shard keeps. */
export type WasReplaced = (entity: string, version: VersionedName) => Promise<boolean>;

const OLD_VERSION_DAYS = OLD_VERSION_MS / DAY_MS;

/** A name that a shard does not know, and how many shards the entity has. */
interface Missed {
  readonly name: string;
  readonly shards: number;
}

/**
 * Versions of features by their names, such as `spent_7d@0123456789ab`, in the order of the keys. The shards decide by the
 * digests that they keep, so a release that is only on its way never answers for another one.
 *
 * @throws Failure `features_unavailable` if a shard does not answer; if one does not keep a version, `feature_version_gone`
 *   if a release had it, else `unknown_feature_version`.
 */
export async function readVersions(
  entity: string,
  keys: readonly string[],
  names: readonly string[],
  now: number,
  { shards, wasReplaced }: { readonly shards: VersionShards; readonly wasReplaced: WasReplaced },
): Promise<{ readonly rows: FeatureRow[]; readonly until: number }> {
  let missed: Missed | undefined;
  const asking = askShards(entity, keys, shards.moves, async (shard, own) => {
    const read = await shards.readVersions(shard, entity, own, names, now);
    const [name] = read.unknown;
    if (name === undefined) return read;
    missed ??= { name, shards: countOf(shard) };
    throw unknownVersion(name);
  });
  const answers = await asking.catch(async (error: unknown) => {
    const isRefused = error instanceof Failure && error.code === 'unknown_feature_version';
    throw missed === undefined || !isRefused ? error : await refusalOf(entity, missed, wasReplaced);
  });
  const rows = new Map(
    answers.flatMap(({ keys: own, answer }) => own.map((key, at) => [key, answer.rows[at] ?? {}] as const)),
  );
  return {
    rows: keys.map((key) => rows.get(key) ?? {}),
    until: Math.min(...answers.map(({ answer }) => answer.until)),
  };
}

/** One look-up for a request, whatever the number of its shards. Without an answer to it, the version counts as unknown. */
async function refusalOf(
  entity: string,
  { name, shards }: Missed,
  wasReplaced: WasReplaced,
): Promise<Failure> {
  const version = parseVersioned(name);
  const wasKept = version !== undefined && (await wasReplaced(entity, version).catch(() => false));
  return wasKept ? goneVersion(name, shards) : unknownVersion(name);
}

export function unknownVersion(name: string, pointer?: string): Failure {
  return new Failure(
    'unknown_feature_version',
    `"${name}" names no version that is known. GET /v1/admin/features lists the names that are read.`,
    pointer === undefined ? {} : { pointer },
  );
}

/** @param shards how many shards the entity has: replaced versions do not move to more of them. */
function goneVersion(name: string, shards: number): Failure {
  const cause =
    shards > SHARDS_PER_ENTITY
      ? `when its entity got ${shards} shards, or ${OLD_VERSION_DAYS} days after it was replaced`
      : `${OLD_VERSION_DAYS} days after it was replaced, or when a newer one was replaced or a rebuild began`;
  const advice = 'Read the version of the release: GET /v1/admin/features lists the names that are read.';
  return new Failure('feature_version_gone', `The cells of "${name}" were deleted ${cause}. ${advice}`);
}
