import { type SQL, sql } from 'drizzle-orm';
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import * as z from 'zod';
import type { HistoryDefinition } from '../../define/entity.ts';
import { ownWrite } from './captured.ts';
import { eventDigest, SALT } from './erased-events.ts';
import { byName, SEQ_COLUMN } from './erasure-places.ts';
import { lineageName } from './lineage-events.ts';
import * as millrace from './schema.ts';

/** - `list`: says what there is. - `erase`: removes it. - `verify`: looks again at what an erasure should have removed. */
export const ERASURE_MODES = ['list', 'erase', 'verify'] as const;
export type ErasureMode = (typeof ERASURE_MODES)[number];

const Erasure = z.object({
  id: z.string(),
  mode: z.enum(ERASURE_MODES),
  run: z.string(),
  state: z.string(),
  cursor: z.coerce.number().int(),
  lastSeq: z.coerce.number().int(),
  examined: z.coerce.number().int(),
  found: z.unknown(),
  startedAt: z.string(),
});
/** The progress of a search or an erasure. */
export type Erasure = z.output<typeof Erasure>;

/** What a step changes of its row. */
export interface ErasureChange {
  readonly state: string;
  readonly cursor: number;
  readonly lastSeq: number;
  readonly examined: number;
  readonly found: unknown;
}

const COLUMNS = sql.raw(
  `id, mode, run, state, cursor, last_seq as "lastSeq", examined, found,
   to_char(started_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "startedAt"`,
);

/** The digest by which the erasures of an entity's row are known: the key is nowhere in clear. */
export async function erasureId(db: NeonHttpDatabase, entity: string, key: string): Promise<string> {
  const name = JSON.stringify([entity, key]);
  const { rows } = await db.execute(
    sql`select encode(sha256(convert_to(${SALT} || ${name}, 'UTF8')), 'hex') as id`,
  );
  return z.object({ id: z.string() }).parse(rows[0]).id;
}

export async function readErasure(
  db: NeonHttpDatabase,
  id: string,
  mode: ErasureMode,
): Promise<Erasure | undefined> {
  const { rows } = await db.execute(
    sql`select ${COLUMNS} from ${millrace.erasures} where id = ${id} and mode = ${mode}`,
  );
  return rows[0] === undefined ? undefined : Erasure.parse(rows[0]);
}

/** Begins a search or an erasure, in place of the attempt `before` if there was one. */
export async function startErasure(
  db: NeonHttpDatabase,
  { id, mode, run, found }: Pick<Erasure, 'id' | 'mode' | 'run' | 'found'>,
  before: string | undefined,
): Promise<void> {
  await db.execute(sql`
    insert into ${millrace.erasures} (id, mode, run, state, cursor, last_seq, examined, found)
    select ${id}, ${mode}, ${run}::uuid, 'events', 0, coalesce(max(seq), 0), 0, ${JSON.stringify(found)}::jsonb
    from ${millrace.events}
    on conflict (id, mode) do update set run = excluded.run, state = excluded.state, cursor = 0,
      last_seq = excluded.last_seq, examined = 0, found = excluded.found, started_at = now(), ended_at = null
    where erasures.run = ${before ?? null}::uuid`);
}

/** Records what a step has done. If two callers did the same step, one of them records it. */
export async function advanceErasure(
  db: NeonHttpDatabase,
  erasure: Erasure,
  change: ErasureChange,
): Promise<void> {
  await db.execute(advance(erasure, change));
}

function advance({ id, mode, run, state, cursor }: Erasure, to: ErasureChange): SQL {
  return sql`
    update ${millrace.erasures} set state = ${to.state}, cursor = ${to.cursor}, last_seq = ${to.lastSeq},
      examined = ${to.examined}, found = ${JSON.stringify(to.found)}::jsonb,
      ended_at = case when ${to.state} = 'done' then now() end
    where id = ${id} and mode = ${mode} and run = ${run}::uuid and state = ${state} and cursor = ${cursor}`;
}

const HistoryRow = z.object({
  seq: z.coerce.number().int(),
  type: z.string(),
  occurred_at_ms: z.coerce.number(),
  recorded_at: z.string().transform((text) => new Date(text).toISOString()),
  data: z.unknown(),
});

/** An event of history. Times are in milliseconds since the Unix epoch, and RFC 3339. */
export interface ExaminedEvent {
  readonly seq: number;
  readonly type: string;
  readonly occurredAt: number;
  readonly recordedAt: string;
  readonly data: unknown;
}

/** The next events of history, of all types, in the order of their numbers. */
export async function readEvents(
  db: NeonHttpDatabase,
  { after, lastSeq, limit }: { readonly after: number; readonly lastSeq: number; readonly limit: number },
): Promise<ExaminedEvent[]> {
  const { rows } = await db.execute(sql`
    select seq, type, extract(epoch from occurred_at) * 1000 as occurred_at_ms, recorded_at, data
    from ${millrace.events} where seq > ${after} and seq <= ${lastSeq} order by seq limit ${limit}`);
  return rows.map((row) => {
    const { occurred_at_ms: occurredAt, recorded_at: recordedAt, ...event } = HistoryRow.parse(row);
    return { ...event, data: event.data, occurredAt: Math.round(occurredAt), recordedAt };
  });
}

/**
 * Where the events begin that may have been stored since a moment, and the newest one: a transaction that was open at that
 * moment may have committed lesser numbers than others that were examined by then.
 */
export async function readTail(
  db: NeonHttpDatabase,
  since: string,
): Promise<{ readonly after: number; readonly lastSeq: number }> {
  const { rows } = await db.execute(sql`
    select coalesce((select min(seq) - 1 from ${millrace.events}
        where recorded_at >= ${since}::timestamptz - interval '1 minute'), max(seq), 0) as after,
      coalesce(max(seq), 0) as last_seq
    from ${millrace.events}`);
  const row = z.object({ after: z.coerce.number().int(), last_seq: z.coerce.number().int() }).parse(rows[0]);
  return { after: row.after, lastSeq: row.last_seq };
}

function among(seqs: readonly number[]): SQL {
  return sql`(select value::bigint from jsonb_array_elements_text(${JSON.stringify(seqs)}::jsonb))`;
}

/** How many rows of histories these events have, by table. */
export async function countRows(
  db: NeonHttpDatabase,
  histories: readonly HistoryDefinition[],
  seqs: readonly number[],
): Promise<Record<string, number>> {
  if (histories.length === 0 || seqs.length === 0) return {};
  const each = histories.map(
    ({ table }) =>
      sql`select ${lineageName(table)}::text as name, count(*) as n from ${table} h where h.${SEQ_COLUMN} in ${among(seqs)}`,
  );
  const { rows } = await db.execute(sql.join(each, sql` union all `));
  return byName(rows);
}

/**
 * Erases events with their rows of histories, and records the step, in one transaction. A row of the outbox invalidates
 * what they had invalidated. Their own rows of the outbox stay without tags: readers of the clock's moments need them.
 */
export async function eraseEvents(
  db: NeonHttpDatabase,
  histories: readonly HistoryDefinition[],
  { seqs, tags }: { readonly seqs: readonly number[]; readonly tags: readonly string[] },
  step: { readonly erasure: Erasure; readonly to: ErasureChange },
): Promise<void> {
  const own = among(seqs);
  const statements = [
    sql`
      insert into ${millrace.erasedEvents} (digest)
      select ${eventDigest(sql`e.source`, sql`e.id`)} from ${millrace.events} e where e.seq in ${own}
      on conflict do nothing`,
    sql`
      insert into ${millrace.outbox} (tags)
      select array_agg(distinct tag) from (
        select unnest(o.tags) as tag from ${millrace.outbox} o where o.event_seq in ${own}
        union select value from jsonb_array_elements_text(${JSON.stringify(tags)}::jsonb)
      ) as invalidated having count(*) > 0`,
    sql`
      update ${millrace.outbox} set tags = '{}', event_seq = null
      where event_seq in ${own} and relayed_at is not null`,
    ...histories.map(({ table }) => sql`delete from ${table} where ${SEQ_COLUMN} in ${own}`),
    sql`delete from ${millrace.events} where seq in ${own}`,
    advance(step.erasure, step.to),
  ];
  await db.batch([db.execute(ownWrite()), ...statements.map((statement) => db.execute(statement))]);
}
