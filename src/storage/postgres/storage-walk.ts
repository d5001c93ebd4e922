import { sql } from 'drizzle-orm';
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import * as z from 'zod';
import * as millrace from './schema.ts';

/** How long a step has the walk for itself, in seconds: two of its calls may take their whole deadlines. */
const LEASE_S = 120;
/** How long after the end of a walk the next one begins, in hours. */
const EVERY_HOURS = 24;

const Leased = z.object({ lease: z.string(), cursor: z.string().nullable(), counts: z.unknown() });
/** Where the walk is; `cursor` is null if it begins. `lease` names the step. */
export type LeasedWalk = z.output<typeof Leased>;

/**
 * Takes the walk for one step. @param now RFC 3339.
 *
 * @returns undefined if another step has it, or no walk is due.
 */
export async function leaseWalk(db: NeonHttpDatabase, now: string): Promise<LeasedWalk | undefined> {
  const { rows } = await db.execute(sql`
    insert into ${millrace.storageWalk} as w (one, leased_until, counts)
    values (1, ${now}::timestamptz + make_interval(secs => ${LEASE_S}), '{}')
    on conflict (one) do update set leased_until = excluded.leased_until
    where w.leased_until <= ${now}::timestamptz and (w.cursor is not null or w.ended_at is null
      or w.ended_at <= ${now}::timestamptz - make_interval(hours => ${EVERY_HOURS}))
    returning w.leased_until::text as lease, w.cursor, w.counts`);
  return rows[0] === undefined ? undefined : Leased.parse(rows[0]);
}

/** How far a walk has come. */
export interface WalkProgress {
  readonly cursor: string;
  readonly counts: Readonly<Record<string, unknown>>;
  readonly isOver: boolean;
}

/** Saves how far a step has come. @returns whether the step still has the walk. */
export async function advanceWalk(
  db: NeonHttpDatabase,
  { lease }: Pick<LeasedWalk, 'lease'>,
  { cursor, counts, isOver }: WalkProgress,
  now: string,
): Promise<boolean> {
  const json = sql`${JSON.stringify(counts)}::jsonb`;
  const begun = sql`begun_at = case when cursor is null then ${now}::timestamptz else begun_at end`;
  const { rows } = await db.execute(sql`
    update ${millrace.storageWalk} set ${begun}, ${
      isOver
        ? sql`cursor = null, counts = '{}', counted = ${json}, ended_at = ${now}::timestamptz, walks = walks + 1`
        : sql`cursor = ${cursor}, counts = ${json}`
    }
    where leased_until::text = ${lease} returning walks`);
  return rows.length > 0;
}

/** Lets the next step begin before the lease ends. */
export async function endLease(
  db: NeonHttpDatabase,
  { lease }: Pick<LeasedWalk, 'lease'>,
  now: string,
): Promise<void> {
  await db.execute(sql`
    update ${millrace.storageWalk} set leased_until = ${now}::timestamptz where leased_until::text = ${lease}`);
}

const Walked = z.object({
  beganAt: z.string().nullable(),
  endedAt: z.string().nullable(),
  isUnderWay: z.boolean(),
  counted: z.unknown(),
});
/** What the last whole walk has counted, null before there was one. */
export type Walked = z.output<typeof Walked>;

export async function readWalk(db: NeonHttpDatabase): Promise<Walked | undefined> {
  const { rows } = await db.execute(sql`
    select to_char(begun_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "beganAt",
      to_char(ended_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "endedAt",
      cursor is not null as "isUnderWay", counted
    from ${millrace.storageWalk}`);
  return rows[0] === undefined ? undefined : Walked.parse(rows[0]);
}
