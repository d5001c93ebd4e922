import { sql } from 'drizzle-orm';
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import * as z from 'zod';
import { quarantine } from './schema.ts';

/** An event that was refused, as it came. */
export interface RefusedEvent {
  readonly fingerprint: string;
  readonly source: string | null;
  readonly eventId: string | null;
  readonly type: string | null;
  readonly reason: string;
  readonly pointer: string;
  readonly detail: string;
  readonly raw: unknown;
}

/** Keeps refused events; one that is there already stays as it is. */
export async function keepRefused(db: NeonHttpDatabase, refused: readonly RefusedEvent[]): Promise<void> {
  if (refused.length === 0) return;
  await db
    .insert(quarantine)
    .values(refused.map((event) => ({ ...event })))
    .onConflictDoNothing({ target: quarantine.fingerprint });
}

/** Counts of quarantined events by reason, of one source or of all. */
export async function countByReason(
  db: NeonHttpDatabase,
  source: string | undefined,
): Promise<Record<string, number>> {
  const { rows } = await db.execute(sql`
    select reason, count(*) as events from quarantine
    where ${source === undefined ? sql`true` : sql`source = ${source}`}
    group by reason order by reason`);
  const counts = z.array(z.object({ reason: z.string(), events: z.coerce.number().int() })).parse(rows);
  return Object.fromEntries(counts.map(({ reason, events }) => [reason, events]));
}
