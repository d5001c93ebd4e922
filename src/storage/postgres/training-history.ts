import { type SQL, sql } from 'drizzle-orm';
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import * as z from 'zod';
import * as millrace from './schema.ts';

const Moment = z.coerce.number().nullable();

/**
 * When the first and the last event of some types happened, of those that were stored by a moment; null without one. All of
 * them are in milliseconds since the Unix epoch.
 */
export async function rangeOfTypes(
  db: NeonHttpDatabase,
  types: readonly string[],
  knownMs: number,
): Promise<{ readonly from: number; readonly to: number } | null> {
  const known = sql`recorded_at <= ${new Date(knownMs).toISOString()}::timestamptz`;
  // Each end is read from the index of the moments.
  const end = (order: SQL) => sql`(
    select extract(epoch from occurred_at) * 1000 from ${millrace.events} where ${ofTypes(types)} and ${known}
    order by occurred_at ${order} limit 1)`;
  const { rows } = await db.execute(sql`select ${end(sql`asc`)} as "from", ${end(sql`desc`)} as "to"`);
  const { from, to } = z.object({ from: Moment, to: Moment }).parse(rows[0]);
  return from === null || to === null ? null : { from: Math.round(from), to: Math.round(to) };
}

/** The number of the newest event; 0 without one. */
export async function newestSeq(db: NeonHttpDatabase): Promise<number> {
  const { rows } = await db.execute(sql`select coalesce(max(seq), 0) as newest from ${millrace.events}`);
  return z.object({ newest: z.coerce.number().int() }).parse(rows[0]).newest;
}

/** How many events of some types were stored after an event, counted up to `max`. */
export async function countAfter(
  db: NeonHttpDatabase,
  types: readonly string[],
  after: number,
  max: number,
): Promise<number> {
  const { rows } = await db.execute(sql`
    select count(*) as events from (
      select 1 from ${millrace.events} where seq > ${after} and ${ofTypes(types)} limit ${max}) as counted`);
  return z.object({ events: z.coerce.number().int() }).parse(rows[0]).events;
}

function ofTypes(types: readonly string[]): SQL {
  return sql`type in (select value from jsonb_array_elements_text(${JSON.stringify(types)}::jsonb))`;
}
