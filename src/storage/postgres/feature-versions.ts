import { sql } from 'drizzle-orm';
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import * as z from 'zod';
import type { HistoryBounds } from './history.ts';
import type { Replay } from './replays.ts';
import * as millrace from './schema.ts';

/** The replay that builds new features from history. */
export const BACKFILL = 'backfill';

const State = z.enum(['filling', 'pruned', 'ready']);
const Row = z.object({
  entity: z.string(),
  feature: z.string(),
  digest: z.string(),
  state: State,
  run: z.string().nullable(),
  since: z.string(),
  isRetired: z.boolean(),
});
/** A definition of a feature that a release has, or has had. */
export type KnownVersion = z.output<typeof Row>;

export async function readVersions(db: NeonHttpDatabase): Promise<KnownVersion[]> {
  const { rows } = await db.execute(sql`
    select entity, feature, digest, state, run, to_char(since at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as since,
      retired_at is not null as "isRetired"
    from ${millrace.featureVersions} order by entity, feature, since`);
  return z.array(Row).parse(rows);
}

/** Whether an earlier release had a version, named by a name that reads the feature and the first digits of its digest. */
export async function wasReplaced(
  db: NeonHttpDatabase,
  entity: string,
  { readName, digits }: { readonly readName: string; readonly digits: string },
): Promise<boolean> {
  const { rows } = await db.execute(sql`
    select 1 from ${millrace.featureVersions}
    where entity = ${entity} and starts_with(digest, ${digits}) and starts_with(${readName}, feature)
      and retired_at is not null limit 1`);
  return rows.length > 0;
}

interface Stated {
  readonly entity: string;
  readonly feature: string;
  readonly digest: string;
  readonly state: KnownVersion['state'];
}

/**
 * Records the state of each version of the catalog, retires all others, and opens the replay of those that are `filling`,
 * if there are any. One statement.
 */
export async function beginBackfill(
  db: NeonHttpDatabase,
  run: string,
  versions: readonly Stated[],
  { firstSeq, lastSeq, events }: HistoryBounds,
): Promise<void> {
  const isFilling = versions.some(({ state }) => state === 'filling');
  await db.execute(sql`
    with wanted as (
      select entity, feature, digest, state from jsonb_to_recordset(${JSON.stringify(versions)}::jsonb)
        as w (entity text, feature text, digest text, state text)
    ), retired as (
      update ${millrace.featureVersions} v set retired_at = now()
      where v.retired_at is null and (v.entity, v.feature, v.digest) not in (select entity, feature, digest from wanted)
    ), opened as (
      insert into ${millrace.replays} (id, run, state, cursor, last_seq, total, replayed)
      select ${BACKFILL}, ${run}::uuid, 'open', ${Math.max(0, firstSeq - 1)}, ${lastSeq}, ${events}, 0 where ${isFilling}
      on conflict (id) do update set run = excluded.run, state = excluded.state, cursor = excluded.cursor,
        last_seq = excluded.last_seq, total = excluded.total, replayed = 0, started_at = now(), ended_at = null, outcome = null
    )
    insert into ${millrace.featureVersions} as v (entity, feature, digest, state, run)
    select entity, feature, digest, state, case when state = 'filling' then ${run}::uuid end from wanted
    on conflict (entity, feature, digest) do update set
      state = excluded.state, run = coalesce(excluded.run, v.run), retired_at = null,
      since = case when v.state = excluded.state and v.retired_at is null then v.since else now() end`);
}

/** Records that a page is done. If two callers handled the same page, only one counts it. */
export async function advanceBackfill(
  db: NeonHttpDatabase,
  { run, cursor: before }: Replay,
  { cursor, events, isLast }: { readonly cursor: number; readonly events: number; readonly isLast: boolean },
): Promise<void> {
  await db.execute(sql`
    update ${millrace.replays} set cursor = ${cursor}, replayed = replayed + ${events},
      state = ${isLast ? 'flipping' : 'open'}
    where id = ${BACKFILL} and run = ${run} and state = 'open' and cursor = ${before}`);
}

/** Records that the features of a run are ready, and ends it. */
export async function endBackfill(db: NeonHttpDatabase, { run }: Replay): Promise<void> {
  await db.execute(sql`
    with ended as (
      update ${millrace.replays} set state = 'done', ended_at = now()
      where id = ${BACKFILL} and run = ${run} and state = 'flipping'
      returning run
    )
    update ${millrace.featureVersions} set state = 'ready', since = now()
    where run in (select run from ended) and state = 'filling'`);
}
