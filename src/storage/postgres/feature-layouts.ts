import { sql } from 'drizzle-orm';
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import * as z from 'zod';
import { type Replay, readReplays } from './replays.ts';
import * as millrace from './schema.ts';

/** Before the name of the entity in the id of the replay that fills more shards. */
const PREFIX = 'shards:';

const Counts = z.object({ from: z.int().min(1), to: z.int().min(1) });

/** An entity that has got more shards than at the beginning, or is getting them. */
export interface StoredMove {
  readonly entity: string;
  readonly from: number;
  readonly to: number;
  /** Done for an entity that has `to` shards. */
  readonly replay: Replay;
}

export async function readMoves(db: NeonHttpDatabase): Promise<StoredMove[]> {
  const replays = await readReplays(db, PREFIX);
  return replays.map((replay) => ({
    entity: replay.id.slice(PREFIX.length),
    ...Counts.parse(replay.outcome),
    replay,
  }));
}

/** Begins a move, unless another one of the entity is under way. */
export async function startMove(
  db: NeonHttpDatabase,
  run: string,
  { entity, from, to }: Pick<StoredMove, 'entity' | 'from' | 'to'>,
): Promise<void> {
  await db.execute(sql`
    insert into ${millrace.replays} as r (id, run, state, cursor, last_seq, total, replayed, outcome)
    values (${PREFIX + entity}, ${run}::uuid, 'opening', 0, 0, 0, 0, ${JSON.stringify({ from, to })}::jsonb)
    on conflict (id) do update set run = excluded.run, state = 'opening', cursor = 0, last_seq = 0, total = 0,
      replayed = 0, started_at = now(), ended_at = null, outcome = excluded.outcome
    where r.state = 'done' and (r.outcome->>'to')::int = ${from}`);
}

/** Begins a move anew as the attempt `run`, unless another caller has. */
export async function restartMove(db: NeonHttpDatabase, { replay }: StoredMove, run: string): Promise<void> {
  await db.execute(sql`
    update ${millrace.replays} set run = ${run}::uuid, state = 'opening', cursor = 0, last_seq = 0, total = 0, replayed = 0
    where id = ${replay.id} and run = ${replay.run}`);
}

/**
 * Cancels a move whose keys are not being left to the new shards yet: the entity has `from` shards.
 *
 * @returns whether no move of the entity is under way now.
 */
export async function cancelMove(db: NeonHttpDatabase, { replay, from }: StoredMove): Promise<boolean> {
  const { rows } = await db.execute(sql`
    update ${millrace.replays} set state = 'done', ended_at = now(), outcome = ${JSON.stringify({ from, to: from })}::jsonb
    where id = ${replay.id} and run = ${replay.run} and state in ('opening', 'open') returning id`);
  return rows.length > 0;
}
