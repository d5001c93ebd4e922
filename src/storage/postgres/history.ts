import { type SQL, sql } from 'drizzle-orm';
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import * as z from 'zod';
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
  return rows.map((raw) => {
    const { seq, type, occurred_at_ms: occurredAt, data } = EventRow.parse(raw);
    return { seq, type, occurredAt: Math.round(occurredAt), data };
  });
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
