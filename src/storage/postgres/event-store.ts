import { type SQL, sql } from 'drizzle-orm';
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import * as z from 'zod';
import { type Effect, EVENT_LINE, hasLines } from '../../define/effect.ts';
import type { HistoryDefinition } from '../../define/entity.ts';
import type { Lane } from '../lane.ts';
import { ownWrite } from './captured.ts';
import { IS_ERASED } from './erased-events.ts';
import { pendingOfStored } from './quality-pending.ts';
import { byColumns, type EventRow, freshEvents, recordset } from './recordset.ts';
import { type EventEffect, rowEffectStatements } from './row-effects.ts';
import * as millrace from './schema.ts';

/** An event that passed its contract, with its effects on the tables and the tags that it invalidates. */
export interface StorableEvent {
  readonly source: string;
  readonly id: string;
  readonly type: string;
  /** The type as it was sent, if that is an earlier version. */
  readonly sentAs?: string;
  readonly subject: string | null;
  /** RFC 3339. */
  readonly time: string;
  readonly extensions?: Readonly<Record<string, string | number | boolean>>;
  readonly data: unknown;
  readonly effects: readonly Effect[];
  readonly tags: readonly string[];
  /** `traceparent` of the storing, if the trace of the event is recorded; its outbox row carries it on. */
  readonly trace?: string;
}

/** What identifies an event (CloudEvents 1.0.2, "source" and "id"). */
export interface EventIdentity {
  readonly source: string;
  readonly id: string;
}

/** A duplicate of a stored event; `same` is false if the stored event differs. */
export interface KnownEvent extends EventIdentity {
  readonly same: boolean;
  /** The stored event, if it was sent in another version: then a comparison of the texts does not decide. */
  readonly stored?: { readonly type: string; readonly data: unknown };
}

const Known = z.object({
  source: z.string(),
  id: z.string(),
  same: z.union([z.boolean(), z.stringbool({ truthy: ['t', 'true'], falsy: ['f', 'false'] })]),
  stored: z.object({ type: z.string(), data: z.unknown() }).nullable(),
});

const Added = z.object({ added: z.coerce.number().int() });

/**
 * Stores events with their effects and outbox rows in one transaction of a few statements, whatever the number of
 * events. Duplicates (by source and id) change nothing, nor do events that were erased.
 *
 * Over HTTP a transaction is a fixed list of statements. So the first statement writes `batch`, a fresh UUID per call,
 * into the new events, and the later statements find them by it.
 *
 * @param events of distinct identities: one statement may not insert the same key twice.
 * @param lane of the changes in the outbox.
 * @returns the duplicates.
 */
export async function storeEvents(
  db: NeonHttpDatabase,
  events: readonly StorableEvent[],
  batch: string,
  lane: Lane = 'live',
): Promise<KnownEvent[]> {
  if (events.length === 0) return [];
  const [first, ...others] = storingStatements(events, batch, lane);
  const [, , added] = await db.batch([
    db.execute(first),
    ...others.map((statement) => db.execute(statement)),
  ]);
  if (Added.parse(added?.rows[0]).added === events.length) return [];
  // Read after the commit, because most transactions have no duplicates, and the events would be sent twice for it.
  const { rows } = await db.execute(selectKnown(events, batch));
  return rows.map((row) => {
    const { stored, ...found } = Known.parse(row);
    return stored === null ? found : { ...found, stored };
  });
}

/** The statements of the transaction that stores events. The third one counts the new events. */
export function storingStatements(
  events: readonly StorableEvent[],
  batch: string,
  lane: Lane,
): readonly [SQL, ...SQL[]] {
  return [
    ownWrite(lane),
    insertEvents(events, batch),
    countAdded(batch),
    ...rowEffectStatements(rowEffects(events), batch),
    ...appendStatements(events, batch),
    insertOutbox(events, batch),
    pendingOfStored(batch),
  ];
}

/** The number of stored events, of one source or of all. */
export async function countStored(db: NeonHttpDatabase, source: string | undefined): Promise<number> {
  const { rows } = await db.execute(
    sql`select count(*) as stored from ${millrace.events} where ${source === undefined ? sql`true` : sql`source = ${source}`}`,
  );
  return z.object({ stored: z.coerce.number().int() }).parse(rows[0]).stored;
}

function countAdded(batch: string): SQL {
  return sql`select count(*) as added from ${millrace.events} where batch = ${batch}::uuid`;
}

/**
 * Compares without the time: an event sent without a time gets a different one each time it is sent. An erased event counts
 * as a duplicate, whatever it says now: nothing of it is kept to compare it with.
 */
function selectKnown(events: readonly StorableEvent[], batch: string): SQL {
  const json = events.map(({ source, id, type, sentAs, data }) => ({
    source,
    id,
    type,
    sent_as: sentAs,
    data,
  }));
  return sql`
    with m_sent as materialized (
      select * from jsonb_to_recordset(${JSON.stringify(json)}::jsonb)
        as r(source text, id text, type text, sent_as text, data jsonb)
    )
    select r.source, r.id, (e.type = r.type and e.data = r.data) as same,
      case when e.type <> r.type or e.sent_as is distinct from r.sent_as
        then jsonb_build_object('type', e.type, 'data', e.data) end as stored
    from m_sent r join ${millrace.events} e on e.source = r.source and e.id = r.id
    where e.batch <> ${batch}::uuid
    union all
    select r.source, r.id, true, null from m_sent r where ${IS_ERASED}`;
}

function insertEvents(events: readonly StorableEvent[], batch: string): SQL {
  const json = events.map(({ source, id, type, sentAs, subject, time, extensions, data }) => ({
    source,
    id,
    type,
    sent_as: sentAs,
    subject,
    time,
    extensions,
    data,
  }));
  return sql`
    insert into ${millrace.events} (source, id, type, sent_as, subject, extensions, data, occurred_at, batch)
    select r.source, r.id, r.type, r.sent_as, r.subject, r.extensions, r.data, r.time, ${batch}::uuid
    from jsonb_to_recordset(${JSON.stringify(json)}::jsonb)
      as r(source text, id text, type text, sent_as text, subject text, extensions jsonb, data jsonb, time timestamptz)
    where not (${IS_ERASED})
    on conflict (source, id) do nothing`;
}

function appendStatements(events: readonly StorableEvent[], batch: string): SQL[] {
  const rows = events.flatMap(({ source, id, effects }) => {
    const lines = new Map<HistoryDefinition, number>();
    return effects.flatMap((effect) => {
      if (effect.kind !== 'append') return [];
      const line = lines.get(effect.history) ?? 0;
      lines.set(effect.history, line + 1);
      return [{ history: effect.history, source, id, line, row: effect.row }];
    });
  });
  return [...Map.groupBy(rows, ({ history }) => history)].flatMap(([history, own]) =>
    byColumns(own).map((group) => appendRows(history, group, batch)),
  );
}

/** Inserts rows of one history that name the same columns. */
function appendRows(history: HistoryDefinition, rows: readonly EventRow[], batch: string): SQL {
  const set = recordset(history.table, rows);
  const numbered = hasLines(history);
  const targets = [sql`event_seq`, ...(numbered ? [sql.identifier(EVENT_LINE)] : []), set.columns];
  const values = [sql`e.seq`, ...(numbered ? [sql`r.m_line`] : []), set.values];
  return sql`
    insert into ${history.table} (${sql.join(targets, sql`, `)})
    select ${sql.join(values, sql`, `)} from ${set.from} ${freshEvents(batch)}`;
}

/** The effects of all events on rows of entities. The effects of one event keep their order. */
function rowEffects(events: readonly StorableEvent[]): EventEffect[] {
  return events.flatMap(({ source, id, effects }) =>
    effects.flatMap((effect, line) => (effect.kind === 'append' ? [] : [{ source, id, line, effect }])),
  );
}

function insertOutbox(events: readonly StorableEvent[], batch: string): SQL {
  const json = events.map(({ source, id, tags, trace }) => ({ m_source: source, m_id: id, tags, trace }));
  return sql`
    insert into ${millrace.outbox} (event_seq, tags, trace)
    select e.seq, r.tags, r.trace
    from jsonb_to_recordset(${JSON.stringify(json)}::jsonb) as r(m_source text, m_id text, tags text[], trace text)
    ${freshEvents(batch)}
    order by e.seq`;
}
