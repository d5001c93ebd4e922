import { sql } from 'drizzle-orm';
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import * as z from 'zod';
import type { HistoryBounds } from './history.ts';
import * as millrace from './schema.ts';

const Replay = z.object({
  id: z.string(),
  run: z.string(),
  state: z.enum(['opening', 'open', 'flipping', 'done']),
  cursor: z.coerce.number().int(),
  lastSeq: z.coerce.number().int(),
  total: z.coerce.number().int(),
  replayed: z.coerce.number().int(),
  outcome: z.unknown(),
});
/** The progress of a replay. */
export type Replay = z.output<typeof Replay>;

export async function readReplay(db: NeonHttpDatabase, id: string): Promise<Replay | undefined> {
  const { rows } = await db.execute(sql`
    select id, run, state, cursor, last_seq as "lastSeq", total, replayed, outcome from ${millrace.replays} where id = ${id}`);
  return rows[0] === undefined ? undefined : Replay.parse(rows[0]);
}

/** The replays whose ids begin with this text. */
export async function readReplays(db: NeonHttpDatabase, prefix: string): Promise<Replay[]> {
  const { rows } = await db.execute(sql`
    select id, run, state, cursor, last_seq as "lastSeq", total, replayed, outcome from ${millrace.replays}
    where starts_with(id, ${prefix}) order by id`);
  return z.array(Replay).parse(rows);
}

/**
 * Starts a replay in place of the attempt `before`. If another caller has replaced that attempt, the replay stays as it
 * is: the first caller wins.
 */
export async function startReplay(
  db: NeonHttpDatabase,
  id: string,
  run: string,
  before: string | undefined,
): Promise<void> {
  await db.execute(sql`
    insert into ${millrace.replays} (id, run, state, cursor, last_seq, total, replayed)
    values (${id}, ${run}, 'opening', 0, 0, 0, 0)
    on conflict (id) do update set run = excluded.run, state = 'opening', cursor = 0, last_seq = 0, total = 0,
      replayed = 0, started_at = now(), ended_at = null, outcome = null
    where replays.run = ${before ?? null}::uuid`);
}

/** Records which range of events a replay covers. */
export async function openReplay(
  db: NeonHttpDatabase,
  { id, run }: Replay,
  { firstSeq, lastSeq, events }: HistoryBounds,
): Promise<void> {
  await db.execute(sql`
    update ${millrace.replays} set state = 'open', cursor = ${Math.max(0, firstSeq - 1)}, last_seq = ${lastSeq}, total = ${events}
    where id = ${id} and run = ${run} and state = 'opening'`);
}

/** Records that everything up to `cursor` is done. If two callers handled the same page, only one counts it. */
export async function advanceReplay(
  db: NeonHttpDatabase,
  replay: Replay,
  page: { readonly cursor: number; readonly events: number; readonly state: 'open' | 'flipping' | 'done' },
): Promise<void> {
  await db.execute(sql`
    update ${millrace.replays} set cursor = ${page.cursor}, replayed = replayed + ${page.events}, state = ${page.state},
      ended_at = case when ${page.state} = 'done' then now() end
    where id = ${replay.id} and run = ${replay.run} and state = 'open' and cursor = ${replay.cursor}`);
}

export async function endReplay(db: NeonHttpDatabase, { id, run }: Replay, outcome: unknown): Promise<void> {
  await db.execute(sql`
    update ${millrace.replays} set state = 'done', ended_at = now(), outcome = ${JSON.stringify(outcome)}::jsonb
    where id = ${id} and run = ${run} and state = 'flipping'`);
}
