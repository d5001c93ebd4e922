import { sql } from 'drizzle-orm';
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import * as z from 'zod';
import type { ClockMoment } from '../../define/view.ts';
import type { Lane } from '../lane.ts';
import * as millrace from './schema.ts';

/** A committed change that has not been relayed yet. */
export interface PendingChange {
  readonly outboxId: number;
  readonly lane: Lane;
  readonly tags: readonly string[];
  readonly event: ChangedEvent | null;
  /** `traceparent` of the storing, if the trace of the event is recorded. */
  readonly trace?: string;
}

/** The event behind a change, with the fields that features need. */
export interface ChangedEvent {
  /** Unique, and dense enough to store in compact form: the idempotency key of a fold. */
  readonly seq: number;
  readonly type: string;
  /** Milliseconds since the Unix epoch. */
  readonly occurredAt: number;
  readonly data: unknown;
  /** `traceparent` of the relay, if the trace of the event is recorded. */
  readonly trace?: string;
}

const Row = z.object({
  id: z.coerce.number().int(),
  // Over HTTP, a boolean is `t` or a JSON boolean, depending on the driver's mode.
  is_bulk: z.union([z.boolean(), z.stringbool({ truthy: ['t', 'true'], falsy: ['f', 'false'] })]),
  tags: z.array(z.string()),
  event_seq: z.coerce.number().int().nullable(),
  type: z.string().nullable(),
  occurred_at_ms: z.coerce.number().nullable(),
  /** As JSON text: its size bounds a page, and Postgres would parse it a second time to return it as `jsonb`. */
  data: z.string().nullable(),
  trace: z.string().nullable(),
});

/** Which pending changes to read. */
export interface PendingWish {
  /** The most changes. */
  readonly limit: number;
  /** Given, only changes with at most this number are read, the oldest first and of both lanes. */
  readonly upTo?: number;
}

export interface PendingPage {
  readonly changes: readonly PendingChange[];
  /** Whether more changes are pending than the page has. */
  readonly isFull: boolean;
  /** The greatest number of a pending change; undefined if none is pending. */
  readonly newestId: number | undefined;
}

/**
 * Bytes of the events and tags of one page, as text. An isolate holds the answer, its parsed form and the messages made
 * of it; Neon's HTTP endpoint answers with at most 64 MB (neon.com/docs, "Serverless driver", limits).
 */
export const PENDING_BYTES_MAX = 8_000_000;

const Page = Row.extend({
  found: z.coerce.number().int(),
  newest: z.coerce.number().int(),
});

/**
 * The oldest pending changes of the live lane, then those of the bulk lane; with `upTo` the oldest of both. A page has
 * at least one change if one is pending, and otherwise ends at `PENDING_BYTES_MAX`.
 */
export async function readPending(db: NeonHttpDatabase, { limit, upTo }: PendingWish): Promise<PendingPage> {
  const order = (of: string) => sql.raw(upTo === undefined ? `${of}.is_bulk, ${of}.id` : `${of}.id`);
  const newestOf = (lane: string) =>
    sql`(select max(id) from ${millrace.outbox} where relayed_at is null and ${sql.raw(lane)})`;
  const { rows } = await db.execute(sql`
    with m_waiting as materialized (
      select o.id, o.is_bulk, o.tags, o.event_seq, o.trace, e.type, extract(epoch from e.occurred_at) * 1000 as occurred_at_ms,
        e.data::text as data
      from ${millrace.outbox} o left join ${millrace.events} e on e.seq = o.event_seq
      where o.relayed_at is null
        and ${upTo === undefined ? sql`true` : sql`o.id <= ${upTo}`}
      order by ${order('o')}
      limit ${limit + 1}
    ), m_sized as (
      select w.*, count(*) over () as found, row_number() over m_before as position,
        sum(octet_length(coalesce(w.data, '')) + octet_length(w.tags::text)) over m_before as total
      from m_waiting w
      window m_before as (order by ${order('w')})
    )
    select s.id, s.is_bulk, s.tags, s.event_seq, s.type, s.occurred_at_ms, s.data, s.trace, s.found,
      greatest(${newestOf('is_bulk')}, ${newestOf('not is_bulk')}) as newest
    from m_sized s
    where s.position <= ${limit} and (s.position = 1 or s.total <= ${PENDING_BYTES_MAX})
    order by s.position`);
  const page = rows.map((row) => Page.parse(row));
  const [first] = page;
  return {
    changes: page.map(changeOf),
    isFull: first !== undefined && page.length < first.found,
    newestId: first?.newest,
  };
}

function changeOf(row: z.output<typeof Row>): PendingChange {
  const event =
    row.event_seq === null || row.type === null || row.occurred_at_ms === null || row.data === null
      ? null
      : {
          seq: row.event_seq,
          type: row.type,
          occurredAt: Math.round(row.occurred_at_ms),
          data: JSON.parse(row.data),
        };
  const change = { outboxId: row.id, lane: row.is_bulk ? 'bulk' : 'live', tags: row.tags, event } as const;
  return row.trace === null ? change : { ...change, trace: row.trace };
}

/** Marks changes as relayed: invalidated at the root clock at the moment `at`, and taken by the `changes` queue. */
export async function markRelayed(
  db: NeonHttpDatabase,
  outboxIds: readonly number[],
  at: ClockMoment,
): Promise<void> {
  if (outboxIds.length === 0) return;
  await db.execute(sql`
    with m_epoch as (
      insert into ${millrace.epochs} (epoch) values (${at.epoch}) on conflict do nothing
    )
    update ${millrace.outbox} set relayed_at = now(), relayed_epoch = ${at.epoch}, relayed_seq = ${at.seq}
    where relayed_at is null
      and id in (select value::bigint from jsonb_array_elements_text(${JSON.stringify(outboxIds)}::jsonb))`);
}

/** A relayed change, as the outbox stores it. */
export interface RelayedChange {
  readonly outboxId: number;
  /** The stored type of its event. */
  readonly type: string;
  readonly tags: readonly string[];
}

const RelayedRow = z.object({
  id: z.coerce.number().int(),
  event_seq: z.coerce.number().int(),
  type: z.string(),
  tags: z.array(z.string()),
});

/** The relayed changes of these events, by event number. Pending and pruned changes are left out. */
export async function readRelayed(
  db: NeonHttpDatabase,
  seqs: readonly number[],
): Promise<ReadonlyMap<number, RelayedChange>> {
  if (seqs.length === 0) return new Map();
  const { rows } = await db.execute(sql`
    select o.id, o.event_seq, e.type, o.tags from ${millrace.outbox} o join ${millrace.events} e on e.seq = o.event_seq
    where o.relayed_at is not null
      and o.event_seq in (select value::bigint from jsonb_array_elements_text(${JSON.stringify(seqs)}::jsonb))`);
  return new Map(
    rows.map((raw) => {
      const { id: outboxId, event_seq: seq, type, tags } = RelayedRow.parse(raw);
      return [seq, { outboxId, type, tags }];
    }),
  );
}

/** `traceparent` of the newest events up to a number whose traces are recorded, as long as the outbox has their rows. */
export async function newestTraces(db: NeonHttpDatabase, upTo: number, limit: number): Promise<string[]> {
  const { rows } = await db.execute(sql`
    select trace from ${millrace.outbox} where trace is not null and event_seq <= ${upTo}
    order by event_seq desc limit ${limit}`);
  return rows.map((row) => z.object({ trace: z.string() }).parse(row).trace);
}

/** The number of changes that are not relayed yet. */
export async function countPending(db: NeonHttpDatabase): Promise<number> {
  const { rows } = await db.execute(
    sql`select count(*) as pending from ${millrace.outbox} where relayed_at is null`,
  );
  return z.object({ pending: z.coerce.number().int() }).parse(rows[0]).pending;
}
