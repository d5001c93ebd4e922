import { type SQL, sql } from 'drizzle-orm';
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import * as z from 'zod';
import * as millrace from './schema.ts';

const Moment = z.coerce.number().nullable();

/** Moments in milliseconds since the Unix epoch. */
export interface TypesRange {
  /** When the first and the last event happened. */
  readonly from: number;
  readonly to: number;
  /** When the event with the lowest number was stored: hardly any was known before. */
  readonly knownFrom: number;
}

/** The range of the events of some types that were stored by a moment; null without one. */
export async function rangeOfTypes(
  db: NeonHttpDatabase,
  types: readonly string[],
  knownMs: number,
): Promise<TypesRange | null> {
  const known = sql`recorded_at <= ${new Date(knownMs).toISOString()}::timestamptz`;
  // Each is read from an index: of the moments, or of the numbers.
  const first = (column: SQL, order: SQL) => sql`(
    select extract(epoch from ${column}) * 1000 from ${millrace.events} where ${ofTypes(types)} and ${known}
    order by ${order} limit 1)`;
  const { rows } = await db.execute(sql`select
    ${first(sql`occurred_at`, sql`occurred_at asc`)} as "from",
    ${first(sql`occurred_at`, sql`occurred_at desc`)} as "to",
    ${first(sql`recorded_at`, sql`seq asc`)} as "knownFrom"`);
  const { from, to, knownFrom } = z.object({ from: Moment, to: Moment, knownFrom: Moment }).parse(rows[0]);
  if (from === null || to === null || knownFrom === null) return null;
  return { from: Math.round(from), to: Math.round(to), knownFrom: Math.round(knownFrom) };
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
