import { type SQL, sql } from 'drizzle-orm';
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import * as z from 'zod';
import type { RunTally } from './lineage-runs.ts';
import { REPORTED_COUNTS, REPORTED_FIRST_SEQ, REPORTED_LAST_SEQ } from './lineage-tallies.ts';
import { notedGone } from './retention.ts';
import * as millrace from './schema.ts';

/** How long runs and predictions are kept, in days: long enough to examine last month. */
export const LINEAGE_KEEP_DAYS = 30;
/**
 * How long trainings and changes of the registry are kept, in days, and longer for a version that an alias names. Models
 * answer for longer than a month, and these runs are few.
 */
export const TRAINING_KEEP_DAYS = 730;
/** The most runs that one sweep ends: one day of all jobs, after an outage. */
const ENDED_MAX = 5_000;
/** The most rows of each table that one sweep prunes, so that it takes milliseconds. */
const PRUNED_MAX = 5_000;
/** The most pairs of source and type that an ingest run lists, largest first. */
const SOURCES_MAX = 32;

export interface SweepOutcome {
  /** Runs made for minutes that have events but no run. */
  readonly begun: number;
  readonly ended: number;
  /** Trainings that never reported their end. */
  readonly aborted: number;
  readonly pruned: number;
}

const Counted = z.object({ runs: z.coerce.number().int() });

/**
 * Ends the runs whose minute is over, with the facts that the database has. Aborts trainings that never ended. Prunes
 * old rows. Each step handles a bounded number.
 *
 * @param minutes minutes of the ingest job that ended lately. A minute with events and no run means that its isolate
 *   died before it reported; the sweep then makes the run.
 * @param now RFC 3339.
 */
export async function sweepLineage(
  db: NeonHttpDatabase,
  minutes: readonly RunTally[],
  now: string,
): Promise<SweepOutcome> {
  const [begun, , ended, aborted, oldRuns, oldPredictions] = await db.batch([
    db.execute(beginMissing(minutes)),
    db.execute(closeWindows(now)),
    db.execute(endWindows()),
    db.execute(abortTrainings(now)),
    db.execute(pruneRuns(now)),
    db.execute(prunePredictions(now)),
  ]);
  const [begunRuns, endedRuns, abortedRuns, prunedRuns, prunedPredictions] = [
    begun,
    ended,
    aborted,
    oldRuns,
    oldPredictions,
  ].map(({ rows }) => Counted.parse(rows[0]).runs);
  return {
    begun: begunRuns ?? 0,
    ended: endedRuns ?? 0,
    aborted: abortedRuns ?? 0,
    pruned: (prunedRuns ?? 0) + (prunedPredictions ?? 0),
  };
}

function beginMissing(minutes: readonly RunTally[]): SQL {
  const json = minutes.map(({ id, windowFrom, windowTo, dueAt }) => ({
    id,
    window_from: windowFrom,
    window_to: windowTo,
    due_at: dueAt,
  }));
  return sql`
    with begun as (
      insert into ${millrace.lineageRuns}
        (id, job, subject, version, state, started_at, window_from, window_to, due_at, counts, detail)
      select m.id, 'ingest', '', '', 'RUNNING', m.window_from, m.window_from, m.window_to, m.due_at, '{}', '{}'
      from jsonb_to_recordset(${JSON.stringify(json)}::jsonb)
        as m(id uuid, window_from timestamptz, window_to timestamptz, due_at timestamptz)
      where exists (
        select 1 from ${millrace.events} e where e.recorded_at >= m.window_from and e.recorded_at < m.window_to)
      on conflict (id) do nothing
      returning id
    ), told as (insert into ${millrace.lineageEvents} (run_id, is_end) select id, false from begun)
    select count(*) as runs from begun`;
}

/**
 * Marks the runs whose minute is over, and locks them until the end of the transaction. The next statement then sees
 * every report that was committed before the lock, and no isolate can add one after it.
 */
function closeWindows(now: string): SQL {
  return sql`
    update ${millrace.lineageRuns} set state = 'COMPLETE' where id in (
      select id from ${millrace.lineageRuns}
      where ended_at is null and window_to is not null and due_at <= ${now}::timestamptz
      -- Runs that another sweep ends, or that an isolate reports now, are left for the next sweep.
      order by due_at limit ${ENDED_MAX} for update skip locked
    )`;
}

/**
 * Ends the runs that are marked, and adds what isolates have reported of them. Stored events are counted from the events
 * table, so the count is right even if an isolate died before it reported. A run that has failures and nothing else has
 * failed.
 */
function endWindows(): SQL {
  return sql`
    with due as (
      select r.id, r.job, r.window_from, r.window_to, ${REPORTED_COUNTS} as counts,
        ${REPORTED_FIRST_SEQ} as first_seq, ${REPORTED_LAST_SEQ} as last_seq
      from ${millrace.lineageRuns} r
      where r.ended_at is null and r.window_to is not null and r.state = 'COMPLETE'
    ), parts as (
      select d.id, e.source, e.type, count(*) as events, min(e.seq) as first_seq, max(e.seq) as last_seq
      from due d join ${millrace.events} e on e.recorded_at >= d.window_from and e.recorded_at < d.window_to
      where d.job = 'ingest'
      group by d.id, e.source, e.type
    ), ranked as (
      select *, row_number() over (partition by id order by events desc, source, type) as place from parts
    ), stored as (
      select id, sum(events)::bigint as events, min(first_seq) as first_seq, max(last_seq) as last_seq,
        jsonb_agg(jsonb_build_object('source', source, 'type', type, 'events', events) order by place)
          filter (where place <= ${SOURCES_MAX}) as sources,
        count(*) as pairs
      from ranked group by id
    ), ended as (
      update ${millrace.lineageRuns} run set
        ended_at = run.window_to,
        state = case when (due.counts->>'failures') is not null and s.id is null
                       and not (due.counts ?| array['events', 'received', 'predictions']) then 'FAIL'
                     else 'COMPLETE' end,
        counts = case when run.job <> 'ingest' then due.counts
                      else due.counts || jsonb_build_object('stored', coalesce(s.events, 0)) end,
        detail = case when s.id is null then run.detail
                      else run.detail || jsonb_build_object('sources', s.sources, 'pairs', s.pairs) end,
        first_seq = coalesce(s.first_seq, due.first_seq),
        last_seq = coalesce(s.last_seq, due.last_seq)
      from due left join stored s on s.id = due.id
      where run.id = due.id and run.ended_at is null
      returning run.id
    ), added as (delete from ${millrace.lineageTallies} where run_id in (select id from due)), told as (
      insert into ${millrace.lineageEvents} (run_id, is_end) select id, true from ended on conflict (run_id, is_end) do nothing
    )
    select count(*) as runs from ended`;
}

function abortTrainings(now: string): SQL {
  return sql`
    with ended as (
      update ${millrace.lineageRuns} set state = 'ABORT', ended_at = ${now}::timestamptz,
        detail = detail || '{"error": "The training did not report its end within 24 hours."}'
      where ended_at is null and job = 'train' and due_at <= ${now}::timestamptz
      returning id
    ), told as (
      insert into ${millrace.lineageEvents} (run_id, is_end) select id, true from ended on conflict (run_id, is_end) do nothing
    )
    select count(*) as runs from ended`;
}

function pruneRuns(now: string): SQL {
  return sql`
    with named as (
      select distinct on (model, alias) model, version from ${millrace.modelAliases}
      order by model, alias, revision desc
    ), old as (
      select id from ${millrace.lineageRuns} run
      where ended_at < ${now}::timestamptz - make_interval(days => ${LINEAGE_KEEP_DAYS})
        and (job not in ('train', 'registry') or (
          ended_at < ${now}::timestamptz - make_interval(days => ${TRAINING_KEEP_DAYS})
          and not exists (select from named where named.model = run.subject and named.version = run.version)))
      order by ended_at limit ${PRUNED_MAX}
    ), gone as (delete from ${millrace.lineageRuns} where id in (select id from old) returning ended_at as at),
    ${notedGone('lineage:runs')}
    select count(*) as runs from gone`;
}

function prunePredictions(now: string): SQL {
  return sql`
    with old as (
      select id from ${millrace.lineagePredictions}
      where at < ${now}::timestamptz - make_interval(days => ${LINEAGE_KEEP_DAYS})
      order by at limit ${PRUNED_MAX}
    ), gone as (delete from ${millrace.lineagePredictions} where id in (select id from old) returning at),
    ${notedGone('lineage:predictions')}
    select count(*) as runs from gone`;
}
