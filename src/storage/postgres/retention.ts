import { type SQL, sql } from 'drizzle-orm';
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import * as z from 'zod';
import type { RetentionPolicy } from '../../define/retention.ts';
import { pruneRowChanges, rowChangesTarget } from './row-change-retention.ts';
import * as millrace from './schema.ts';

/** Rows that one pass deletes of each target, so that it takes tens of milliseconds. */
export const PRUNE_ROWS_MAX = 5_000;
/**
 * The shortest retention of any target, in days. Scores are settled from the events themselves for 24 hours, and
 * lineage counts the events of the last minutes.
 */
export const KEEP_DAYS_MIN = 2;

export interface Pruned {
  readonly target: string;
  /** The number of rows deleted so far, over all passes. */
  readonly rows: number;
  /** The newest timestamp among the deleted rows, RFC 3339; of changes of rows, that of the change that covers them. */
  readonly until: string;
}

/** What retention has deleted, with when it last did, RFC 3339; null if that was before Millrace recorded it. */
export interface Cleaned extends Pruned {
  readonly cleanedAt: string | null;
}

/** The target in `pruned` that records deleted events of a type. */
export function eventsTarget(type: string): string {
  return `events:${type}`;
}

/**
 * Deletes rows older than their policy, at most `PRUNE_ROWS_MAX` of each target, and records them in `pruned`.
 *
 * @param rowTypes the types of the events that record changes of rows.
 * @returns the number of deleted rows by target; targets without deleted rows are left out.
 */
export async function pruneOld(
  db: NeonHttpDatabase,
  policy: RetentionPolicy,
  now: string,
  rowTypes: readonly string[] = [],
): Promise<Record<string, number>> {
  const steps: [target: string, days: number, statement: (target: string, before: SQL) => SQL][] = [];
  for (const [type, days] of Object.entries(policy.events)) {
    steps.push([eventsTarget(type), days, (target, before) => pruneEvents(target, type, before)]);
  }
  if (policy.rowChanges !== undefined)
    for (const type of rowTypes)
      steps.push([
        rowChangesTarget(type),
        policy.rowChanges,
        (_, before) => pruneRowChanges(type, before, PRUNE_ROWS_MAX),
      ]);
  if (policy.outbox !== undefined) steps.push(['outbox', policy.outbox, pruneOutbox]);
  if (policy.quarantineClosed !== undefined)
    steps.push([
      'quarantine:closed',
      policy.quarantineClosed,
      (t, before) => pruneQuarantine(t, true, before),
    ]);
  if (policy.quarantineOpen !== undefined)
    steps.push(['quarantine:open', policy.quarantineOpen, (t, before) => pruneQuarantine(t, false, before)]);
  const counts: Record<string, number> = {};
  for (const [target, days, statement] of steps) {
    const kept = Math.max(days, KEEP_DAYS_MIN);
    const { rows } = await db.execute(
      statement(target, sql`${now}::timestamptz - make_interval(days => ${kept})`),
    );
    const { gone } = z.object({ gone: z.coerce.number().int() }).parse(rows[0]);
    if (gone > 0) counts[target] = gone;
  }
  return counts;
}

/** The rows deleted so far, by target. */
export async function readPruned(db: NeonHttpDatabase): Promise<Pruned[]> {
  return (await readCleaned(db)).map(({ target, rows, until }) => ({ target, rows, until }));
}

export async function readCleaned(db: NeonHttpDatabase): Promise<Cleaned[]> {
  const { rows } = await db.execute(sql`
    select target, rows, to_char(until at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as until,
      to_char(cleaned_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "cleanedAt"
    from ${millrace.pruned} where rows > 0 order by target`);
  return z
    .array(
      z.object({
        ...{ target: z.string(), rows: z.coerce.number().int(), until: z.string() },
        cleanedAt: z.string().nullable(),
      }),
    )
    .parse(rows);
}

/** Keeps events whose change is not relayed yet, and events that are not scored yet. */
function pruneEvents(target: string, type: string, before: SQL): SQL {
  return sql`
    with old as (
      select e.seq from ${millrace.events} e
      where e.type = ${type} and e.recorded_at < ${before}
        and not exists (select 1 from ${millrace.outbox} o where o.relayed_at is null and o.event_seq = e.seq)
        and not exists (select 1 from ${millrace.qualityPending} q where q.batch = e.batch)
      order by e.recorded_at limit ${PRUNE_ROWS_MAX}
    ), gone as (delete from ${millrace.events} where seq in (select seq from old) returning recorded_at as at)
    ${noteGone(target)}`;
}

/**
 * Keeps the row with the greatest `relayed_seq` of each epoch: answers from the database use it to report how new they
 * are (`reflecting.ts`). The statement examines the oldest rows first. It keeps one row per epoch, so kept rows do not
 * fill up the examined range.
 */
function pruneOutbox(target: string, before: SQL): SQL {
  return sql`
    with oldest as (
      select id, relayed_epoch, relayed_at from ${millrace.outbox} where relayed_at is not null
      order by id limit ${PRUNE_ROWS_MAX}
    ), epochs as (
      select distinct relayed_epoch from oldest where relayed_epoch is not null
    ), kept as (
      select (select o.id from ${millrace.outbox} o where o.relayed_epoch = e.relayed_epoch
              order by o.relayed_seq desc, o.id desc limit 1) as id
      from epochs e
    ), gone as (
      delete from ${millrace.outbox} where relayed_at < ${before}
        and id in (select id from oldest where relayed_at < ${before} except select id from kept)
      returning relayed_at as at
    )
    ${noteGone(target)}`;
}

function pruneQuarantine(target: string, isClosed: boolean, before: SQL): SQL {
  const state = isClosed ? sql`state <> 'open'` : sql`state = 'open'`;
  return sql`
    with old as (
      select id from ${millrace.quarantine} where ${state} and received_at < ${before}
      order by received_at limit ${PRUNE_ROWS_MAX}
    ), gone as (
      delete from ${millrace.quarantine} where id in (select id from old) and ${state} returning received_at as at
    )
    ${noteGone(target)}`;
}

function noteGone(target: string): SQL {
  return sql`, ${notedGone(target)} select count(*) as gone from gone`;
}

/** Records in `pruned` what the expression `gone` before it has deleted, by the moments `at` of its rows. */
export function notedGone(target: string): SQL {
  return sql`noted as (
      insert into ${millrace.pruned} (target, rows, until, cleaned_at)
      select ${target}, count(*), max(at), now() from gone having count(*) > 0
      on conflict (target) do update set rows = pruned.rows + excluded.rows,
        until = greatest(pruned.until, excluded.until), cleaned_at = excluded.cleaned_at
    )`;
}

/** Records in `pruned` what was deleted outside Postgres. @param until the newest moment among it, RFC 3339. */
export async function notePruned(
  db: NeonHttpDatabase,
  target: string,
  count: number,
  until: string,
): Promise<void> {
  await db.execute(sql`
    with gone as (select ${until}::timestamptz as at from generate_series(1, ${count}::int)), ${notedGone(target)}
    select 1`);
}
