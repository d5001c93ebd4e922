import { type SQL, sql } from 'drizzle-orm';
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import * as z from 'zod';
import { type Effect, EVENT_LINE, hasLines } from '../../define/effect.ts';
import type { HistoryDefinition } from '../../define/entity.ts';
import { ownWrite } from './captured.ts';
import { pendingOfStored } from './quality-pending.ts';
import { byColumns, type EventRow, recordset } from './recordset.ts';
import { type EventEffect, rowEffectStatements } from './row-effects.ts';
import * as millrace from './schema.ts';

/** An event that kept its contract, with what it does to the tables and the tags that this invalidates. */
export interface StorableEvent {
  readonly source: string;
  readonly id: string;
  readonly type: string;
  /** The type as it was sent, where that is an earlier version. */
  readonly sentAs?: string;
  readonly subject: string | null;
  /** RFC 3339. */
  readonly time: string;
  readonly data: unknown;
  readonly effects: readonly Effect[];
  readonly tags: readonly string[];
}

/** What identifies an event (CloudEvents 1.0.2, "source" and "id"). */
export interface EventIdentity {
  readonly source: string;
  readonly id: string;
}

/** An event that was there already; `same` unless the stored one says something else. */
export interface KnownEvent extends EventIdentity {
  readonly same: boolean;
  /** The stored one, where it was sent in another version: then its wording alone does not decide. */
  readonly stored?: { readonly type: string; readonly data: unknown };
}

const Known = z.object({
  source: z.string(),
  id: z.string(),
  same: z.union([z.boolean(), z.stringbool({ truthy: ['t', 'true'], falsy: ['f', 'false'] })]),
  stored: z.object({ type: z.string(), data: z.unknown() }).nullable(),
});

/**
 * Stores events with their effects and their outbox rows in one transaction of a handful of statements,
 * whatever their number. Events that are there already (by source and id) change nothing.
 *
 * Over HTTP a transaction is a fixed list of statements, so later ones find what was new to the first by the
 * `batch` that it wrote: a fresh UUID per call.
 *
 * @param events of distinct identities: one statement may not insert the same key twice.
 * @returns those that were there already.
 */
export async function storeEvents(
  db: NeonHttpDatabase,
  events: readonly StorableEvent[],
  batch: string,
): Promise<KnownEvent[]> {
  if (events.length === 0) return [];
  const [, , known] = await db.batch([
    db.execute(ownWrite()),
    db.execute(insertEvents(events, batch)),
    db.execute(selectKnown(events, batch)),
    ...rowEffectStatements(rowEffects(events), batch).map((statement) => db.execute(statement)),
    ...appendStatements(events, batch).map((statement) => db.execute(statement)),
    db.execute(insertOutbox(events, batch)),
    db.execute(pendingOfStored(batch)),
  ]);
  return known.rows.map((row) => {
    const { stored, ...found } = Known.parse(row);
    return stored === null ? found : { ...found, stored };
  });
}

/** How many events are stored, of one source or of all. */
export async function countStored(db: NeonHttpDatabase, source: string | undefined): Promise<number> {
  const { rows } = await db.execute(
    sql`select count(*) as stored from ${millrace.events} where ${source === undefined ? sql`true` : sql`source = ${source}`}`,
  );
  return z.object({ stored: z.coerce.number().int() }).parse(rows[0]).stored;
}

/** The time does not count: without one of its own, an event that is sent again gets another. */
function selectKnown(events: readonly StorableEvent[], batch: string): SQL {
  const json = events.map(({ source, id, type, sentAs, data }) => ({
    source,
    id,
    type,
    sent_as: sentAs,
    data,
  }));
  return sql`
    select r.source, r.id, (e.type = r.type and e.data = r.data) as same,
      case when e.type <> r.type or e.sent_as is distinct from r.sent_as
        then jsonb_build_object('type', e.type, 'data', e.data) end as stored
    from jsonb_to_recordset(${JSON.stringify(json)}::jsonb)
      as r(source text, id text, type text, sent_as text, data jsonb)
    join ${millrace.events} e on e.source = r.source and e.id = r.id
    where e.batch <> ${batch}::uuid`;
}

function insertEvents(events: readonly StorableEvent[], batch: string): SQL {
  const json = events.map(({ source, id, type, sentAs, subject, time, data }) => ({
    source,
    id,
    type,
    sent_as: sentAs,
    subject,
    time,
    data,
  }));
  return sql`
    insert into ${millrace.events} (source, id, type, sent_as, subject, data, occurred_at, batch)
    select r.source, r.id, r.type, r.sent_as, r.subject, r.data, r.time, ${batch}::uuid
    from jsonb_to_recordset(${JSON.stringify(json)}::jsonb)
      as r(source text, id text, type text, sent_as text, subject text, data jsonb, time timestamptz)
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

/** Rows of one history that name the same columns. */
function appendRows(history: HistoryDefinition, rows: readonly EventRow[], batch: string): SQL {
  const set = recordset(history.table, rows);
  const numbered = hasLines(history);
  const targets = [sql`event_seq`, ...(numbered ? [sql.identifier(EVENT_LINE)] : []), set.columns];
  const values = [sql`e.seq`, ...(numbered ? [sql`r.m_line`] : []), set.values];
  return sql`
    insert into ${history.table} (${sql.join(targets, sql`, `)})
    select ${sql.join(values, sql`, `)} from ${set.from}
    join ${millrace.events} e on e.source = r.m_source and e.id = r.m_id and e.batch = ${batch}::uuid`;
}

/** The effects of all events on rows of entities; those of one event keep their order. */
function rowEffects(events: readonly StorableEvent[]): EventEffect[] {
  return events.flatMap(({ source, id, effects }) =>
    effects.flatMap((effect, line) => (effect.kind === 'append' ? [] : [{ source, id, line, effect }])),
  );
}

function insertOutbox(events: readonly StorableEvent[], batch: string): SQL {
  const json = events.map(({ source, id, tags }) => ({ source, id, tags }));
  return sql`
    insert into ${millrace.outbox} (event_seq, tags)
    select e.seq, array(select jsonb_array_elements_text(r.tags))
    from jsonb_to_recordset(${JSON.stringify(json)}::jsonb) as r(source text, id text, tags jsonb)
    join ${millrace.events} e on e.source = r.source and e.id = r.id and e.batch = ${batch}::uuid
    order by e.seq`;
}
