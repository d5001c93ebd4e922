import { type SQL, sql } from 'drizzle-orm';
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import * as z from 'zod';
import type { EventIdentity } from './event-store.ts';
import type { ChangedEvent } from './outbox.ts';
import * as millrace from './schema.ts';

/** A part of history, bounded by when events were recorded. Without bounds it is the whole history. */
export interface HistoryRange {
  /** RFC 3339, inclusive. */
  readonly from?: string | undefined;
  /** RFC 3339, exclusive. */
  readonly to?: string | undefined;
  /** Event types with their versions; undefined for all. */
  readonly types?: readonly string[] | undefined;
}

export interface HistoryBounds {
  /** The numbers of the first and the last event; 0 if there is none. */
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly events: number;
}

/** The range of event numbers that a part of history covers. */
export async function boundsOf(db: NeonHttpDatabase, range: HistoryRange): Promise<HistoryBounds> {
  // Materialised: for a bare min(seq) Postgres scans the primary key from one end and filters by the time
  // (docs/decisions/0005-history-by-number.md).
  const { rows } = await db.execute(sql`
    with part as materialized (select seq from ${millrace.events} where ${within(range)})
    select coalesce(min(seq), 0) as first_seq, coalesce(max(seq), 0) as last_seq, count(*) as events from part`);
  const row = z
    .object({ first_seq: z.coerce.number(), last_seq: z.coerce.number(), events: z.coerce.number() })
    .parse(rows[0]);
  return { firstSeq: row.first_seq, lastSeq: row.last_seq, events: row.events };
}

const EventRow = z.object({
  seq: z.coerce.number().int(),
  type: z.string(),
  occurred_at_ms: z.coerce.number(),
  data: z.unknown(),
});

/** The next events of a range, ordered by number: those after `after`, up to `lastSeq`. */
export async function readHistory(
  db: NeonHttpDatabase,
  range: HistoryRange,
  { after, lastSeq, limit }: { readonly after: number; readonly lastSeq: number; readonly limit: number },
): Promise<ChangedEvent[]> {
  const { rows } = await db.execute(sql`
    select seq, type, extract(epoch from occurred_at) * 1000 as occurred_at_ms, data from ${millrace.events}
    where seq > ${after} and seq <= ${lastSeq} and ${within(range)}
    order by seq limit ${limit}`);
  return rows.map(eventOf);
}

/** @param raw a row with the columns of `EventRow`. */
export function eventOf(raw: unknown): ChangedEvent {
  const { seq, type, occurred_at_ms: occurredAt, data } = EventRow.parse(raw);
  return { seq, type, occurredAt: Math.round(occurredAt), data };
}

const NewestRow = z.object({ type: z.string(), data: z.unknown() });

/** The events that were stored last, the newest first. Changes of rows are not among them: no contract declares those. */
export async function readNewestEvents(
  db: NeonHttpDatabase,
  limit: number,
): Promise<{ readonly type: string; readonly data: unknown }[]> {
  const { rows } = await db.execute(sql`
    select type, data from ${millrace.events} where not (${millrace.IS_ROW_CHANGE}) order by seq desc limit ${limit}`);
  return rows.map((row) => NewestRow.parse(row));
}

/** The types among the events that were stored last. */
export async function readNewestTypes(db: NeonHttpDatabase, limit: number): Promise<string[]> {
  const { rows } = await db.execute(sql`
    select distinct type from (
      select type from ${millrace.events} where not (${millrace.IS_ROW_CHANGE}) order by seq desc limit ${limit}) as newest`);
  return rows.map((row) => NewestRow.pick({ type: true }).parse(row).type);
}

/** The stored events with these identities. */
export async function readStored(
  db: NeonHttpDatabase,
  identities: readonly EventIdentity[],
): Promise<ChangedEvent[]> {
  if (identities.length === 0) return [];
  const wanted = JSON.stringify(identities.map(({ source, id }) => ({ source, id })));
  const { rows } = await db.execute(sql`
    select e.seq, e.type, extract(epoch from e.occurred_at) * 1000 as occurred_at_ms, e.data
    from jsonb_to_recordset(${wanted}::jsonb) as r(source text, id text)
    join ${millrace.events} e on e.source = r.source and e.id = r.id
    order by e.seq`);
  return rows.map(eventOf);
}

/** Which events of history a join with past moments reads, in the order of time. Moments are in milliseconds. */
export interface RecordedRange {
  /**
   * - `happened`: by the time of the event;
   * - `recorded`: those that were stored when they had happened, by the time of storing;
   * - `early`: those that were stored before they had happened, by the time of the event.
   */
  readonly order: 'happened' | 'recorded' | 'early';
  /** Event types with their versions. */
  readonly types: readonly string[];
  /** Events that happened earlier are left out; without it none are. */
  readonly from?: number | undefined;
  /** Events that come later in this order are left out. */
  readonly to: number;
  /** Events that were stored later are left out. */
  readonly known: number;
}

/** A position in that order: the time as Postgres writes it, so that microseconds are kept, and the number. */
export interface RecordedCursor {
  readonly time: string;
  readonly seq: number;
}

/** An event with the moment at which it was stored. */
export interface RecordedRow extends ChangedEvent {
  /** Milliseconds since the Unix epoch, rounded up: the first whole millisecond at which it was stored. */
  readonly recordedAt: number;
}

/** Bytes of the events of one page, as text: Neon's HTTP endpoint answers with at most 64 MB. */
const RECORDED_BYTES_MAX = 8_000_000;

const RecordedRowSchema = EventRow.extend({
  recorded_at_ms: z.coerce.number(),
  data: z.string(),
  time: z.string(),
});

/**
 * The next events of a range after a position, at most `limit` and at most `RECORDED_BYTES_MAX`, but at least one if there is one. Both
 * orders of time have an index, so a page costs as much as its own rows, wherever it begins.
 */
export async function readRecorded(
  db: NeonHttpDatabase,
  { order, types, from, to, known }: RecordedRange,
  { after, limit }: { readonly after: RecordedCursor | null; readonly limit: number },
): Promise<{ readonly events: readonly RecordedRow[]; readonly next: RecordedCursor | null }> {
  const time = sql.raw(order === 'recorded' ? 'recorded_at' : 'occurred_at');
  const moment = (ms: number) => sql`${new Date(ms).toISOString()}::timestamptz`;
  const conditions = [
    sql`type in (select value from jsonb_array_elements_text(${JSON.stringify(types)}::jsonb))`,
    sql`${time} <= ${moment(to)}`,
    sql`recorded_at <= ${moment(known)}`,
  ];
  if (order === 'recorded') conditions.push(sql`recorded_at >= occurred_at`);
  if (order === 'early') conditions.push(sql`recorded_at < occurred_at`);
  if (from !== undefined) conditions.push(sql`occurred_at >= ${moment(from)}`);
  // The first condition is for the index, which has the time alone.
  if (after !== null)
    conditions.push(
      sql`${time} >= ${after.time}::timestamptz and (${time}, seq) > (${after.time}::timestamptz, ${after.seq})`,
    );
  const { rows } = await db.execute(sql`
    with m_page as materialized (
      select seq, type, occurred_at, recorded_at, data::text as data, ${time} as m_time from ${millrace.events}
      where ${sql.join(conditions, sql` and `)}
      order by ${time}, seq limit ${limit}
    ), m_sized as (
      select p.*, row_number() over m_before as m_position, sum(octet_length(p.data)) over m_before as m_total
      from m_page p window m_before as (order by p.m_time, p.seq)
    )
    select seq, type, extract(epoch from occurred_at) * 1000 as occurred_at_ms,
      extract(epoch from recorded_at) * 1000 as recorded_at_ms, data, m_time::text as time
    from m_sized where m_position = 1 or m_total <= ${RECORDED_BYTES_MAX} order by m_position`);
  const parsed = rows.map((row) => RecordedRowSchema.parse(row));
  const last = parsed.at(-1);
  return {
    events: parsed.map(({ seq, type, occurred_at_ms: occurredAt, recorded_at_ms: recordedAt, data }) => ({
      ...{ seq, type, data: JSON.parse(data) as unknown },
      occurredAt: Math.round(occurredAt),
      recordedAt: Math.ceil(recordedAt),
    })),
    next: last === undefined ? null : { time: last.time, seq: last.seq },
  };
}

function within({ from, to, types }: HistoryRange): SQL {
  const conditions = [sql`true`];
  if (from !== undefined) conditions.push(sql`recorded_at >= ${from}::timestamptz`);
  if (to !== undefined) conditions.push(sql`recorded_at < ${to}::timestamptz`);
  if (types !== undefined)
    conditions.push(
      sql`type in (select value from jsonb_array_elements_text(${JSON.stringify(types)}::jsonb))`,
    );
  return sql.join(conditions, sql` and `);
}
