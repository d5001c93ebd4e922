import { and, desc, eq, getTableColumns, inArray, lt, ne, type SQL, sql } from 'drizzle-orm';
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import * as z from 'zod';
import { type AuditEntry, auditStatement } from './audit.ts';
import { pendingOfRefused } from './quality-pending.ts';
import { quarantine } from './schema.ts';

/** A refused event, unchanged. */
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

/**
 * Keeps refused events. An event that is already in quarantine is left unchanged.
 *
 * @param batch a fresh UUID, under which the new events are scored later; undefined for entries that are not events.
 * @returns the fingerprints of the new events.
 */
export async function keepRefused(
  db: NeonHttpDatabase,
  refused: readonly RefusedEvent[],
  batch?: string,
): Promise<ReadonlySet<string>> {
  if (refused.length === 0) return new Set();
  const insert = db
    .insert(quarantine)
    .values(refused.map((event) => ({ ...event, raw: json(event.raw), batch: batch ?? null })))
    .onConflictDoNothing({ target: quarantine.fingerprint })
    .returning({ fingerprint: quarantine.fingerprint });
  const kept =
    batch === undefined ? await insert : (await db.batch([insert, db.execute(pendingOfRefused(batch))]))[0];
  return new Set(kept.map(({ fingerprint }) => fingerprint));
}

/** Keeps dead letters. A letter that was replayed and failed again is reopened; a discarded one stays discarded. */
export async function keepDeadLetters(db: NeonHttpDatabase, letters: readonly RefusedEvent[]): Promise<void> {
  if (letters.length === 0) return;
  await db
    .insert(quarantine)
    .values(letters.map((letter) => ({ ...letter, raw: json(letter.raw) })))
    .onConflictDoUpdate({
      target: quarantine.fingerprint,
      set: { state: 'open', resolvedAt: null, detail: sql`excluded.detail`, receivedAt: sql`now()` },
      setWhere: ne(quarantine.state, 'discarded'),
    });
}

/** A value of a JSON column. drizzle would write the JSON value `null` as the SQL value, which the column refuses. */
function json(value: unknown): SQL {
  return sql`${JSON.stringify(value)}::jsonb`;
}

/** Counts of quarantined events by reason, of one source or of all. */
export async function countByReason(
  db: NeonHttpDatabase,
  source: string | undefined,
): Promise<Record<string, number>> {
  const { rows } = await db.execute(sql`
    select reason, count(*) as events from ${quarantine}
    where ${source === undefined ? sql`true` : sql`source = ${source}`}
    group by reason order by reason`);
  const counts = z.array(z.object({ reason: z.string(), events: z.coerce.number().int() })).parse(rows);
  return Object.fromEntries(counts.map(({ reason, events }) => [reason, events]));
}

/** The reason of a message that no consumer could handle. Its entry holds a whole message, not an event. */
export const DEAD_LETTER = 'dead_letter';

export interface QuarantinedEvent {
  readonly id: number;
  readonly source: string | null;
  readonly eventId: string | null;
  readonly type: string | null;
  readonly reason: string;
  readonly pointer: string;
  readonly detail: string;
  readonly receivedAt: string;
  readonly state: 'open' | 'released' | 'discarded';
  readonly resolvedAt: string | null;
}

export interface QuarantineFilter {
  readonly reason?: string | undefined;
  readonly type?: string | undefined;
  readonly source?: string | undefined;
  readonly state: QuarantinedEvent['state'];
  /** Only entries whose id is less than this one. */
  readonly before?: number | undefined;
  readonly limit: number;
}

const Timestamp = z.string().transform((text) => new Date(text).toISOString());
const Row = z.object({
  id: z.coerce.number().int(),
  source: z.string().nullable(),
  eventId: z.string().nullable(),
  type: z.string().nullable(),
  reason: z.string(),
  pointer: z.string(),
  detail: z.string(),
  receivedAt: Timestamp,
  state: z.enum(['open', 'released', 'discarded']),
  resolvedAt: Timestamp.nullable(),
});
const { raw: _raw, fingerprint: _fingerprint, batch: _batch, ...LISTED } = getTableColumns(quarantine);

/**
 * Quarantined events, newest first, without the raw events. Dead letters are listed only if the filter asks for their
 * reason.
 */
export async function listQuarantine(
  db: NeonHttpDatabase,
  { reason, type, source, state, before, limit }: QuarantineFilter,
): Promise<QuarantinedEvent[]> {
  const rows = await db
    .select(LISTED)
    .from(quarantine)
    .where(
      and(
        eq(quarantine.state, state),
        reason === undefined ? ne(quarantine.reason, DEAD_LETTER) : eq(quarantine.reason, reason),
        type === undefined ? undefined : eq(quarantine.type, type),
        source === undefined ? undefined : eq(quarantine.source, source),
        before === undefined ? undefined : lt(quarantine.id, before),
      ),
    )
    .orderBy(desc(quarantine.id))
    .limit(limit);
  return z.array(Row).parse(rows);
}

/** The entries with these ids, with the raw events, in no particular order. Unknown ids are left out. */
export async function readQuarantined(
  db: NeonHttpDatabase,
  ids: readonly number[],
): Promise<(QuarantinedEvent & { readonly raw: unknown })[]> {
  const rows = await db
    .select({ ...LISTED, raw: quarantine.raw })
    .from(quarantine)
    .where(inArray(quarantine.id, [...ids]));
  return z.array(Row.extend({ raw: z.unknown() })).parse(rows);
}

/** The states of the entries with these ids. Unknown ids are left out. */
export async function statesOfQuarantined(
  db: NeonHttpDatabase,
  ids: readonly number[],
): Promise<Record<string, QuarantinedEvent['state']>> {
  const rows = await db
    .select({ id: quarantine.id, state: quarantine.state })
    .from(quarantine)
    .where(inArray(quarantine.id, [...ids]));
  const states = z.array(Row.pick({ id: true, state: true })).parse(rows);
  return Object.fromEntries(states.map(({ id, state }) => [id, state]));
}

/** Closes open entries as released. Those that are closed, or were received at or after `keptUntil`, stay as they are. */
export async function closeReleased(
  db: NeonHttpDatabase,
  ids: readonly number[],
  keptUntil?: Date,
): Promise<void> {
  if (ids.length === 0) return;
  await db
    .update(quarantine)
    .set({ state: 'released', resolvedAt: sql`now()` })
    .where(
      and(
        inArray(quarantine.id, [...ids]),
        eq(quarantine.state, 'open'),
        keptUntil === undefined ? undefined : lt(quarantine.receivedAt, keptUntil.toISOString()),
      ),
    );
}

/** Closes open entries for good, together with the entry of the audit log. Entries that are closed stay as they are. */
export async function discardQuarantined(
  db: NeonHttpDatabase,
  ids: readonly number[],
  entry: AuditEntry,
): Promise<void> {
  const state = (name: string) =>
    sql`coalesce((select jsonb_object_agg(id, ${name}::text) from discarded), '{}'::jsonb)`;
  const audited = auditStatement(entry, {
    before: state('open'),
    after: state('discarded'),
    from: sql`(select 1) as always`,
  });
  await db.execute(sql`
    with discarded as (
      update ${quarantine} set state = 'discarded', resolved_at = now()
      where state = 'open' and id in (select value::bigint from jsonb_array_elements_text(${JSON.stringify(ids)}::jsonb))
      returning id)
    ${audited}`);
}
