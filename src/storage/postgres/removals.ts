import { type SQL, sql } from 'drizzle-orm';
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import * as z from 'zod';
import { notedGone } from './retention.ts';
import * as millrace from './schema.ts';

/**
 * What retention removes outside Postgres. Each removal is a row of `removals` before it is a deletion, and the statement
 * that writes the row decides: it sees all versions that are registered. Registrations wait for it, so none can come
 * between, and none succeeds that needs what is being removed (`model-versions.ts`).
 */

/** How long it stays known what was removed, in days: as long as a training in lineage. */
const REMOVALS_KEEP_DAYS = 730;

export type RemovalStore = 'artifacts' | 'datasets' | 'drift';

/** How long bytes of models are kept, in days. */
export interface ModelDays {
  readonly models: number;
  /** For the log of served predictions. */
  readonly served: number;
}

/** Something that may be removed, and what stays known of it. */
export interface Candidate {
  readonly id: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** Registrations of versions hold it together; a claim of artifacts holds it alone. */
export const SHARE_ARTIFACTS = sql`select pg_advisory_xact_lock_shared(hashtextextended('millrace.artifacts', 0))`;
const OWN_ARTIFACTS = sql`select pg_advisory_xact_lock(hashtextextended('millrace.artifacts', 0))`;

/** The artifacts that a manifest, as JSON text, needs: an array of texts. */
function neededBy(manifest: SQL): SQL {
  return sql`array_remove(array[
    ${manifest}::json #>> '{model,sha256}', ${manifest}::json #>> '{candidates,sha256}'], null)`;
}
const NEEDED = neededBy(sql`v.manifest`);

/** Whether an artifact of a manifest was removed and not uploaded again, or is being removed, as SQL. */
export function isWithoutBytes(manifest: SQL): SQL {
  return sql`exists (
    select from ${millrace.removals} r where r.store = 'artifacts' and r.id = any(${neededBy(manifest)}))`;
}
const IS_WITHOUT_BYTES = isWithoutBytes(sql`v.manifest`);

/** When the first artifact of a manifest was removed, as a timestamp in SQL; null if all are there. */
export function removedAt(manifest: SQL): SQL {
  return sql`(select min(r.removed_at) from ${millrace.removals} r
    where r.store = 'artifacts' and r.id = any(${neededBy(manifest)}))`;
}

/**
 * Whether the bytes of the version `v` have to be kept, as SQL: it is not withdrawn, or not for long enough; an alias or a
 * rollout that is under way names it; or predictions that it made are still kept. A rollback passes withdrawn versions over.
 */
function isKept(now: string, days: ModelDays): SQL {
  const since = (kept: number) => sql`${now}::timestamptz - make_interval(days => ${kept}::int)`;
  return sql`(
    v.retired_at is null or v.retired_at >= ${since(days.models)}
    or v.version = any(array(
      select distinct on (alias) version from ${millrace.modelAliases} where model = v.model order by alias, revision desc))
    or exists (
      select from (select * from ${millrace.modelRollouts} where model = v.model order by id desc limit 1) newest
      where newest.stage in ('shadow', 'canary', 'waiting') and v.version in (newest.version, newest.base))
    or (v.retired_at >= ${since(days.served)} and (
      exists (select from ${millrace.modelAliases} a where a.model = v.model and a.version = v.version)
      or exists (select from ${millrace.modelRollouts} o where o.model = v.model and v.version in (o.version, o.base))))
    or exists (select from ${millrace.lineagePredictions} p where p.version = v.version and p.model = v.model))`;
}

/**
 * Claims the artifacts that no version has to keep. From then on no version that needs one can be registered, until it was
 * uploaded again.
 *
 * @param now RFC 3339.
 * @returns the ids whose bytes have to be deleted now.
 */
export async function claimArtifacts(
  db: NeonHttpDatabase,
  candidates: readonly Candidate[],
  days: ModelDays,
  now: string,
): Promise<string[]> {
  const [, { rows }] = await db.batch([
    db.execute(OWN_ARTIFACTS),
    db.execute(sql`
      with kept as materialized (
        select distinct unnest(${NEEDED}) as sha from ${millrace.modelVersions} v where ${isKept(now, days)}
      )
      ${claimed('artifacts', candidates, now, sql`c.id not in (select sha from kept)`)}`),
  ]);
  return idsOf(rows);
}

/** Claims profiles `<model>/<version>` of versions without bytes, and of versions that were never registered. */
export async function claimProfiles(
  db: NeonHttpDatabase,
  candidates: readonly Candidate[],
  now: string,
): Promise<string[]> {
  const { rows } = await db.execute(
    claimed(
      'drift',
      candidates,
      now,
      sql`not exists (select from ${millrace.modelVersions} v
        where v.model || '/' || v.version = c.id and not ${IS_WITHOUT_BYTES})`,
    ),
  );
  return idsOf(rows);
}

/** Claims datasets that no version with bytes names, at most `max`. */
export async function claimDatasets(
  db: NeonHttpDatabase,
  candidates: readonly Candidate[],
  max: number,
  now: string,
): Promise<string[]> {
  const { rows } = await db.execute(
    claimed(
      'datasets',
      candidates,
      now,
      sql`not exists (select from ${millrace.modelVersions} v
        where v.manifest::json #>> '{trainedFrom,dataset}' = c.id and not ${IS_WITHOUT_BYTES}) limit ${max}`,
    ),
  );
  return idsOf(rows);
}

function claimed(store: RemovalStore, candidates: readonly Candidate[], now: string, holds: SQL): SQL {
  return sql`
    insert into ${millrace.removals} (store, id, detail, claimed_at)
    select ${store}, c.id, c.detail, ${now}::timestamptz
    from jsonb_to_recordset(${JSON.stringify(candidates)}::jsonb) as c(id text, detail jsonb)
    where ${holds}
    on conflict (store, id) do update
      set detail = excluded.detail, claimed_at = excluded.claimed_at, removed_at = null
    returning id`;
}

const Unfinished = z.object({
  ...{ store: z.enum(['artifacts', 'datasets', 'drift']), id: z.string() },
  detail: z.record(z.string(), z.unknown()),
});
type Unfinished = z.output<typeof Unfinished>;

/** What was claimed and may still be there, because a step was interrupted. */
export async function unfinishedRemovals(db: NeonHttpDatabase, limit: number): Promise<Unfinished[]> {
  const { rows } = await db.execute(sql`
    select store, id, detail from ${millrace.removals} where removed_at is null order by claimed_at, store, id limit ${limit}`);
  return z.array(Unfinished).parse(rows);
}

/** Records that the bytes are gone, also in `pruned`. */
export async function endRemovals(
  db: NeonHttpDatabase,
  store: RemovalStore,
  ids: readonly string[],
  now: string,
): Promise<void> {
  await db.execute(sql`
    with gone as (
      update ${millrace.removals} set removed_at = ${now}::timestamptz
      where store = ${store} and removed_at is null
        and id in (select jsonb_array_elements_text(${JSON.stringify(ids)}::jsonb))
      returning coalesce((detail ->> 'at')::timestamptz, claimed_at) as at
    ), ${notedGone(store)} select 1`);
}

/** Gives back what was claimed and turned out to be in use. */
export async function dropRemovals(
  db: NeonHttpDatabase,
  store: RemovalStore,
  ids: readonly string[],
): Promise<void> {
  await db.execute(sql`
    delete from ${millrace.removals} where store = ${store} and removed_at is null
      and id in (select jsonb_array_elements_text(${JSON.stringify(ids)}::jsonb))`);
}

/** Forgets old removals, at most some thousands. */
export async function forgetRemovals(db: NeonHttpDatabase, now: string): Promise<void> {
  await db.execute(sql`
    delete from ${millrace.removals} where (store, id) in (
      select store, id from ${millrace.removals}
      where removed_at < ${now}::timestamptz - make_interval(days => ${REMOVALS_KEEP_DAYS}) limit 5000)`);
}

/**
 * Prepares an upload: an artifact that was removed earlier may be there again.
 *
 * @returns false if one of them is being removed now: bytes that are stored meanwhile would be deleted with the old ones.
 */
export async function releaseArtifacts(db: NeonHttpDatabase, ids: readonly string[]): Promise<boolean> {
  const sought = sql`store = 'artifacts' and id in (select jsonb_array_elements_text(${JSON.stringify(ids)}::jsonb))`;
  const { rows } = await db.execute(sql`
    with released as (delete from ${millrace.removals} where ${sought} and removed_at is not null)
    select count(*) as waiting from ${millrace.removals} where ${sought} and removed_at is null`);
  return z.object({ waiting: z.coerce.number() }).parse(rows[0]).waiting === 0;
}

const Removed = z.object({ kind: z.enum(['dataset', 'model']), id: z.string(), removedAt: z.string() });
/** A dataset, or a version of a model, whose bytes retention has removed, and when: RFC 3339. */
export type Removed = z.output<typeof Removed>;

/** Which of some datasets and versions retention has removed, or is removing. */
export async function readRemoved(
  db: NeonHttpDatabase,
  datasets: readonly string[],
  versions: readonly string[],
): Promise<Removed[]> {
  const among = (ids: readonly string[]) =>
    sql`(select jsonb_array_elements_text(${JSON.stringify(ids)}::jsonb))`;
  const rfc3339 = (at: SQL) => sql`to_char(${at} at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
  const { rows } = await db.execute(sql`
    select 'dataset' as kind, id, ${rfc3339(sql`coalesce(removed_at, claimed_at)`)} as "removedAt"
    from ${millrace.removals} where store = 'datasets' and id in ${among(datasets)}
    union all
    select 'model', v.version, ${rfc3339(removedAt(sql`v.manifest`))}
    from ${millrace.modelVersions} v where v.version in ${among(versions)} and ${removedAt(sql`v.manifest`)} is not null`);
  return z.array(Removed).parse(rows);
}

function idsOf(rows: readonly unknown[]): string[] {
  return z
    .array(z.object({ id: z.string() }))
    .parse(rows)
    .map(({ id }) => id);
}
