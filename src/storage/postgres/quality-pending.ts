import { type SQL, sql } from 'drizzle-orm';
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import * as z from 'zod';
import * as millrace from './schema.ts';

/** A transaction whose events are not yet known to be scored. */
export interface PendingBatch {
  readonly id: string;
  /** Milliseconds since the Unix epoch. */
  readonly atMs: number;
}

/** The events that such a transaction stored or quarantined. */
export interface BatchContent {
  readonly stored: readonly { readonly type: string; readonly time: string; readonly data: unknown }[];
  readonly refused: readonly {
    readonly type: string | null;
    readonly reason: string;
    readonly raw: unknown;
  }[];
}

/** Events of one page. An event has up to 64 KB, and a response of Neon has up to 64 MB. */
const PAGE_EVENTS = 200;

const Timestamp = z.string().transform((text) => new Date(text));
const Pending = z.object({ batch: z.string(), recorded_at: Timestamp });
const Stored = z.object({
  seq: z.coerce.number().int(),
  type: z.string(),
  occurred_at: Timestamp.transform((date) => date.toISOString()),
  data: z.unknown(),
});
const Refused = z.object({
  id: z.coerce.number().int(),
  type: z.string().nullable(),
  reason: z.string(),
  raw: z.unknown(),
});

/** The last statement of the transaction that stores events: marks the batch as pending if it stored a new event. */
export function pendingOfStored(batch: string): SQL {
  return sql`
    insert into ${millrace.qualityPending} (batch)
    select ${batch}::uuid where exists (select from ${millrace.events} where batch = ${batch}::uuid)`;
}

/** The same for quarantined events. */
export function pendingOfRefused(batch: string): SQL {
  return sql`
    insert into ${millrace.qualityPending} (batch)
    select ${batch}::uuid where exists (select from ${millrace.quarantine} where batch = ${batch}::uuid)`;
}

/** Pending transactions older than `graceMs`, oldest first. */
export async function readPending(
  db: NeonHttpDatabase,
  { graceMs, limit }: { readonly graceMs: number; readonly limit: number },
): Promise<PendingBatch[]> {
  const { rows } = await db.execute(sql`
    select batch, recorded_at from ${millrace.qualityPending}
    where recorded_at < now() - make_interval(secs => ${graceMs / 1_000}::float8)
    order by recorded_at limit ${limit}`);
  return z
    .array(Pending)
    .parse(rows)
    .map(({ batch, recorded_at }) => ({ id: batch, atMs: recorded_at.getTime() }));
}

export async function settlePending(db: NeonHttpDatabase, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  await db.execute(sql`
    delete from ${millrace.qualityPending}
    where batch in (select value::uuid from jsonb_array_elements_text(${JSON.stringify(ids)}::jsonb))`);
}

/** Reads the events of a transaction, page by page. */
export async function* readBatch(db: NeonHttpDatabase, batch: string): AsyncGenerator<BatchContent> {
  for (let after = 0, full = true; full; ) {
    const { rows } = await db.execute(sql`
      select seq, type, occurred_at, data from ${millrace.events}
      where batch = ${batch}::uuid and seq > ${after} order by seq limit ${PAGE_EVENTS}`);
    const page = z.array(Stored).parse(rows);
    full = page.length === PAGE_EVENTS;
    after = page.at(-1)?.seq ?? after;
    yield {
      stored: page.map(({ type, occurred_at: time, data }) => ({ type, time, data })),
      refused: [],
    };
  }
  for (let after = 0, full = true; full; ) {
    const { rows } = await db.execute(sql`
      select id, type, reason, raw from ${millrace.quarantine}
      where batch = ${batch}::uuid and id > ${after} order by id limit ${PAGE_EVENTS}`);
    const page = z.array(Refused).parse(rows);
    full = page.length === PAGE_EVENTS;
    after = page.at(-1)?.id ?? after;
    yield { stored: [], refused: page.map(({ type, reason, raw }) => ({ type, reason, raw })) };
  }
}
