import { type SQL, sql } from 'drizzle-orm';
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import * as z from 'zod';
import { LINEAGE_JOBS, type LineageJob } from './lineage-runs.ts';
import { REPORTED_COUNTS, REPORTED_FIRST_SEQ, REPORTED_LAST_SEQ } from './lineage-tallies.ts';
import * as millrace from './schema.ts';

export const Timestamp = z.string().transform((text) => new Date(text).toISOString());
const Sequence = z.coerce.number().int();

const Run = z.object({
  id: z.string(),
  job: z.enum(LINEAGE_JOBS),
  subject: z.string(),
  version: z.string(),
  state: z.enum(['RUNNING', 'COMPLETE', 'FAIL', 'ABORT']),
  started_at: Timestamp,
  ended_at: Timestamp.nullable(),
  due_at: Timestamp,
  window_from: Timestamp.nullable(),
  window_to: Timestamp.nullable(),
  first_seq: Sequence.nullable(),
  last_seq: Sequence.nullable(),
  counts: z.record(z.string(), z.number()),
  detail: z.record(z.string(), z.unknown()),
});

/** A run as it is stored. */
export type StoredRun = z.output<typeof Run>;

/** A position in the sequence of run events. Nothing before it changes, and no row is inserted before it. */
export interface LineageCursor {
  readonly tx: number;
  readonly seq: number;
}

export interface LineageEventRow {
  readonly cursor: LineageCursor;
  readonly isEnd: boolean;
  readonly run: StoredRun;
}

const EventRow = Run.extend({ tx: Sequence, seq: Sequence, is_end: z.union([z.boolean(), z.stringbool()]) });

/** Of a run that has not ended, isolates have reported parts that are not added to its row yet. */
const REPORTED: Readonly<Record<string, SQL>> = {
  counts: sql`${REPORTED_COUNTS} as counts`,
  first_seq: sql`${REPORTED_FIRST_SEQ} as first_seq`,
  last_seq: sql`${REPORTED_LAST_SEQ} as last_seq`,
};
const COLUMNS = sql.join(
  Object.keys(Run.shape).map((name) => REPORTED[name] ?? sql.raw(`r.${name}`)),
  sql`, `,
);

/**
 * Beginnings and ends of runs after a position, in the order of their transactions. Rows are withheld while their
 * transaction, or an earlier one, is in progress, so a reader that continues from the last row misses none.
 */
export async function readLineageEvents(
  db: NeonHttpDatabase,
  after: LineageCursor,
  limit: number,
): Promise<LineageEventRow[]> {
  const { rows } = await db.execute(sql`
    select l.tx, l.seq, l.is_end, ${COLUMNS}
    from ${millrace.lineageEvents} l join ${millrace.lineageRuns} r on r.id = l.run_id
    where (l.tx, l.seq) > (${after.tx}::bigint, ${after.seq}::bigint)
      and l.tx < (pg_snapshot_xmin(pg_current_snapshot())::text)::bigint
    order by l.tx, l.seq limit ${limit}`);
  return rows.map((raw) => {
    const { tx, seq, is_end: isEnd, ...run } = EventRow.parse(raw);
    return { cursor: { tx, seq }, isEnd, run };
  });
}

async function runsWhere(
  db: NeonHttpDatabase,
  condition: SQL,
  limit: number,
  order: 'newest' | 'oldest' = 'newest',
): Promise<StoredRun[]> {
  const { rows } = await db.execute(sql`
    select ${COLUMNS} from ${millrace.lineageRuns} r where ${condition}
    order by r.started_at ${order === 'newest' ? sql`desc` : sql`asc`}, r.id limit ${limit}`);
  return rows.map((row) => Run.parse(row));
}

export async function readRun(db: NeonHttpDatabase, id: string): Promise<StoredRun | undefined> {
  const [run] = await runsWhere(db, sql`r.id = ${id}::uuid`, 1);
  return run;
}

/** The newest runs of some jobs. */
export async function newestRuns(
  db: NeonHttpDatabase,
  jobs: readonly { readonly job: LineageJob; readonly subject: string }[],
  limit: number,
): Promise<StoredRun[]> {
  if (jobs.length === 0) return [];
  const each = jobs.map(({ job, subject }) => sql`(r.job = ${job} and r.subject = ${subject})`);
  return await runsWhere(db, sql`(${sql.join(each, sql` or `)})`, limit);
}

/** The training that produced a version: the newest completed one. */
export async function trainingOf(db: NeonHttpDatabase, version: string): Promise<StoredRun | undefined> {
  const [run] = await runsWhere(
    db,
    sql`r.version = ${version} and r.job = 'train' and r.state = 'COMPLETE'`,
    1,
  );
  return run;
}

/** The newest changes of the registry that concern a version, up to a moment (RFC 3339) if one is given. */
export async function registryRunsOf(
  db: NeonHttpDatabase,
  {
    model,
    version,
    until,
  }: { readonly model: string; readonly version: string; readonly until: string | undefined },
  limit: number,
): Promise<StoredRun[]> {
  const condition = sql`r.job = 'registry' and r.subject = ${model} and r.version = ${version}
    and ${until === undefined ? sql`true` : sql`r.started_at <= ${until}::timestamptz`}`;
  return await runsWhere(db, condition, limit);
}

/** The completed trainings that used a dataset, the newest first. */
export async function trainingsWithDataset(
  db: NeonHttpDatabase,
  dataset: string,
  limit: number,
): Promise<StoredRun[]> {
  const condition = sql`r.job = 'train' and r.state = 'COMPLETE' and r.detail->'dataset'->>'id' = ${dataset}`;
  return await runsWhere(db, condition, limit);
}

/**
 * The trainings that may have learned from an event, oldest first: its number is within the range of their rows, or it was
 * stored by the moment of their dataset.
 *
 * @param recordedAt when the event was stored, RFC 3339; no training that had begun a day before is included.
 */
export async function trainingsAfter(
  db: NeonHttpDatabase,
  { seq, recordedAt }: { readonly seq: number; readonly recordedAt: string },
  limit: number,
): Promise<StoredRun[]> {
  const condition = sql`r.job = 'train' and r.started_at >= ${recordedAt}::timestamptz - interval '1 day'
    and ((r.first_seq <= ${seq} and r.last_seq >= ${seq})
      or (r.detail->'dataset'->>'asOf')::timestamptz >= ${recordedAt}::timestamptz)`;
  return await runsWhere(db, condition, limit, 'oldest');
}

/** The newest training whose graph has this SHA-256. */
export async function trainingOfGraph(db: NeonHttpDatabase, sha256: string): Promise<StoredRun | undefined> {
  const condition = sql`r.job = 'train' and r.state = 'COMPLETE' and r.detail->>'sha256' = ${sha256}`;
  return (await runsWhere(db, condition, 1))[0];
}

/**
 * Runs of a job whose range of event numbers includes an event, oldest first, started at or after a moment. The ranges
 * of neighbouring minutes overlap if their transactions did, so the result may include more than the run that handled
 * the event.
 */
export async function runsSpanning(
  db: NeonHttpDatabase,
  job: 'fold',
  seq: number,
  since: string,
  limit: number,
): Promise<StoredRun[]> {
  const condition = sql`r.job = ${job} and r.first_seq <= ${seq} and r.last_seq >= ${seq}
    and r.started_at >= ${since}::timestamptz`;
  return await runsWhere(db, condition, limit, 'oldest');
}

const Prediction = z.object({
  id: z.string(),
  at: Timestamp,
  model: z.string(),
  version: z.string(),
  entity: z.string().nullable(),
  key: z.string().nullable(),
  features: z.record(z.string(), z.unknown()).nullable(),
  items: Sequence,
  source: z.string(),
  degraded: z.string().nullable(),
});

export type StoredPrediction = z.output<typeof Prediction>;

export async function readPrediction(
  db: NeonHttpDatabase,
  id: string,
): Promise<StoredPrediction | undefined> {
  const { rows } = await db.execute(sql`select * from ${millrace.lineagePredictions} where id = ${id}::uuid`);
  return rows[0] === undefined ? undefined : Prediction.parse(rows[0]);
}

/** Selects predictions by key or by version, in a span of time (RFC 3339, start inclusive). */
export type PredictionFilter =
  | { readonly entity: string; readonly key: string; readonly since: string | undefined }
  | {
      readonly version: string;
      readonly since: string | undefined;
      readonly before?: string | undefined;
    };

/** Counting stops here: an exact count of millions of rows would cost more than it is worth. */
export const COUNT_MAX = 10_000;

/** Some of many rows. `total` stops at {@link COUNT_MAX}. */
export interface Sample<Row> {
  readonly rows: readonly Row[];
  readonly total: number;
}

/** The first predictions since a moment, oldest first; without a moment, the newest. */
export async function samplePredictions(
  db: NeonHttpDatabase,
  filter: PredictionFilter,
  limit: number,
): Promise<Sample<StoredPrediction>> {
  const conditions = [
    'key' in filter
      ? sql`entity = ${filter.entity} and key = ${filter.key}`
      : sql`version = ${filter.version}`,
    ...(filter.since === undefined ? [] : [sql`at >= ${filter.since}::timestamptz`]),
    ...('before' in filter && filter.before !== undefined ? [sql`at < ${filter.before}::timestamptz`] : []),
  ];
  const where = sql.join(conditions, sql` and `);
  const [read, counted] = await db.batch([
    db.execute(sql`
      select * from ${millrace.lineagePredictions} where ${where}
      order by at ${filter.since === undefined ? sql`desc` : sql`asc`}, id limit ${limit}`),
    db.execute(countOf(sql`select 1 from ${millrace.lineagePredictions} where ${where}`)),
  ]);
  return { rows: read.rows.map((row) => Prediction.parse(row)), total: parseCount(counted.rows) };
}

export function countOf(query: SQL): SQL {
  return sql`select count(*) as total from (${query} limit ${COUNT_MAX}) as counted`;
}

export function parseCount(rows: readonly unknown[]): number {
  return z.object({ total: Sequence }).parse(rows[0]).total;
}
