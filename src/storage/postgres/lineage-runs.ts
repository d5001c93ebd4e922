import { type SQL, sql } from 'drizzle-orm';
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import * as z from 'zod';
import * as millrace from './schema.ts';

export const LINEAGE_JOBS = ['ingest', 'fold', 'train', 'predict', 'registry'] as const;
export type LineageJob = (typeof LINEAGE_JOBS)[number];
export type RunState = 'RUNNING' | 'COMPLETE' | 'FAIL' | 'ABORT';
export type Counts = Readonly<Record<string, number>>;

/** What one isolate reports about a minute's run. The reports of several isolates are added up. Times are RFC 3339. */
export interface RunTally {
  readonly id: string;
  readonly job: LineageJob;
  readonly subject: string;
  readonly version: string;
  readonly startedAt: string;
  readonly windowFrom: string;
  readonly windowTo: string;
  readonly dueAt: string;
  readonly firstSeq: number | null;
  readonly lastSeq: number | null;
  readonly counts: Counts;
}

/** A computed prediction, as lineage stores it. */
export interface PredictionRecord {
  readonly id: string;
  /** RFC 3339. */
  readonly at: string;
  readonly model: string;
  readonly version: string;
  readonly entity: string | null;
  readonly key: string | null;
  /** The feature values by name that the model received; null if they have too many bytes, or if there are none. */
  readonly features: Readonly<Record<string, unknown>> | null;
  readonly items: number;
  readonly source: string;
  readonly degraded: string | null;
}

/**
 * Adds to the tallies of runs and keeps predictions, in one transaction. A run without an earlier report begins; a run
 * that has ended is left unchanged.
 *
 * @param shard the `tallyShard` of the isolate. Writes of other shards do not wait for it.
 * @returns how many of the runs had not ended.
 */
export async function recordLineage(
  db: NeonHttpDatabase,
  runs: readonly RunTally[],
  predictions: readonly PredictionRecord[],
  shard: number,
): Promise<number> {
  const given = JSON.stringify(runs.map(columnsOf));
  const [, written] = await db.batch([
    db.execute(beginRuns(given)),
    db.execute(addTallies(given, shard)),
    ...(predictions.length === 0 ? [] : [db.execute(insertPredictions(predictions))]),
  ]);
  return written.rows.length;
}

function beginRuns(given: string): SQL {
  return sql`
    with begun as (
      insert into ${millrace.lineageRuns}
        (id, job, subject, version, state, started_at, window_from, window_to, due_at, counts, detail)
      select r.id, r.job, r.subject, r.version, 'RUNNING', r.started_at, r.window_from, r.window_to, r.due_at, '{}', '{}'
      from jsonb_to_recordset(${given}::jsonb) as r(
        id uuid, job text, subject text, version text, started_at timestamptz, window_from timestamptz,
        window_to timestamptz, due_at timestamptz)
      order by r.id
      on conflict (id) do nothing
      returning id
    )
    insert into ${millrace.lineageEvents} (run_id, is_end) select id, false from begun
    on conflict (run_id, is_end) do nothing`;
}

/**
 * The lock on a run is shared: isolates do not wait for each other, and the sweep, which ends the run, passes over it
 * until they have committed. A statement of its own, so that it sees runs that another isolate has just begun.
 */
function addTallies(given: string, shard: number): SQL {
  return sql`
    with given as (
      select r.* from jsonb_to_recordset(${given}::jsonb) as r(id uuid, first_seq bigint, last_seq bigint, counts jsonb)
    ), open as (
      select run.id from ${millrace.lineageRuns} run
      where run.id in (select id from given) and run.ended_at is null
      order by run.id for key share
    )
    insert into ${millrace.lineageTallies} as tally (run_id, shard, first_seq, last_seq, counts)
    select given.id, ${shard}::smallint, given.first_seq, given.last_seq, given.counts
    from given join open on open.id = given.id order by given.id
    on conflict (run_id, shard) do update set
      first_seq = least(tally.first_seq, excluded.first_seq),
      last_seq = greatest(tally.last_seq, excluded.last_seq),
      counts = (
        select coalesce(jsonb_object_agg(name, total), '{}') from (
          select name, sum(value::bigint) as total from (
            select * from jsonb_each_text(tally.counts) union all select * from jsonb_each_text(excluded.counts)
          ) as each_one(name, value) group by name
        ) as added
      )
    returning tally.run_id`;
}

function columnsOf(run: RunTally): Record<string, unknown> {
  return {
    id: run.id,
    job: run.job,
    subject: run.subject,
    version: run.version,
    started_at: run.startedAt,
    window_from: run.windowFrom,
    window_to: run.windowTo,
    due_at: run.dueAt,
    first_seq: run.firstSeq,
    last_seq: run.lastSeq,
    counts: run.counts,
  };
}

function insertPredictions(predictions: readonly PredictionRecord[]): SQL {
  return sql`
    insert into ${millrace.lineagePredictions} (id, at, model, version, entity, key, features, items, source, degraded)
    select r.id, r.at, r.model, r.version, r.entity, r.key, r.features, r.items, r.source, r.degraded
    from jsonb_to_recordset(${JSON.stringify(predictions)}::jsonb) as r(
      id uuid, at timestamptz, model text, version text, entity text, key text, features jsonb, items integer,
      source text, degraded text)
    on conflict (id) do nothing`;
}

/** A run that has no fixed minute and ends by a report: a training. */
export interface TrainingStart {
  readonly id: string;
  readonly model: string;
  /** RFC 3339. */
  readonly startedAt: string;
  /** The time from which a sweep aborts the training. */
  readonly dueAt: string;
}

export interface TrainingEnd extends TrainingStart {
  readonly state: Exclude<RunState, 'RUNNING'>;
  readonly endedAt: string;
  readonly version: string;
  readonly firstSeq: number | null;
  readonly lastSeq: number | null;
  readonly counts: Counts;
  readonly detail: unknown;
}

/** Begins a training's run. An existing run is left unchanged. */
export async function startTraining(db: NeonHttpDatabase, start: TrainingStart): Promise<RunState> {
  const [, read] = await db.batch([db.execute(insertTraining(start)), db.execute(stateOf(start.id))]);
  return parseState(read.rows);
}

/**
 * Ends a training's run, and begins it first if its start was lost. A run that has ended is left unchanged.
 *
 * @returns the state of the run afterwards.
 */
export async function endTraining(db: NeonHttpDatabase, end: TrainingEnd): Promise<RunState> {
  const { id, state, endedAt, version, firstSeq, lastSeq, counts, detail } = end;
  const [, , read] = await db.batch([
    db.execute(insertTraining(end)),
    db.execute(sql`
      with ended as (
        update ${millrace.lineageRuns} set state = ${state}, ended_at = greatest(started_at, ${endedAt}::timestamptz),
          version = ${version}, first_seq = ${firstSeq}, last_seq = ${lastSeq},
          counts = ${JSON.stringify(counts)}::jsonb, detail = ${JSON.stringify(detail)}::jsonb
        where id = ${id}::uuid and job = 'train' and ended_at is null
        returning id
      )
      insert into ${millrace.lineageEvents} (run_id, is_end) select id, true from ended
      on conflict (run_id, is_end) do nothing`),
    db.execute(stateOf(id)),
  ]);
  return parseState(read.rows);
}

function insertTraining({ id, model, startedAt, dueAt }: TrainingStart): SQL {
  return sql`
    with begun as (
      insert into ${millrace.lineageRuns} (id, job, subject, version, state, started_at, due_at, counts, detail)
      values (${id}::uuid, 'train', ${model}, '', 'RUNNING', ${startedAt}, ${dueAt}, '{}', '{}')
      on conflict (id) do nothing
      returning id
    )
    insert into ${millrace.lineageEvents} (run_id, is_end) select id, false from begun`;
}

function stateOf(id: string): SQL {
  return sql`select state from ${millrace.lineageRuns} where id = ${id}::uuid and job = 'train'`;
}

/** Throws if the id belongs to a run of another job: no training has such an id. */
function parseState(rows: readonly unknown[]): RunState {
  return z.object({ state: z.enum(['RUNNING', 'COMPLETE', 'FAIL', 'ABORT']) }).parse(rows[0]).state;
}
