import { type SQL, sql } from 'drizzle-orm';
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import * as z from 'zod';
import type { Effect } from '../../define/event.ts';
import { ownWrite } from './captured.ts';
import { keyNames } from './key-sql.ts';
import { insertTags } from './list-tags.ts';
import { pendingOfStored } from './quality-pending.ts';
import { type EventRow, recordset } from './recordset.ts';
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
    ...ensureStatements(events, batch).map((statement) => db.execute(statement)),
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

/** What is inserted here is known to the database alone, so it writes the outbox rows for it, too. */
function ensureStatements(events: readonly StorableEvent[], batch: string): SQL[] {
  const rows = group(events, (effect) => (effect.kind === 'ensure' ? effect.entity : undefined));
  return [...rows].map(([entity, entityRows]) => {
    const set = recordset(entity.table, entityRows);
    const names = keyNames(entity);
    const key = sql.join(names, sql`, `);
    const recordKey = sql.join(
      names.map((name) => sql`r.${name}`),
      sql`, `,
    );
    return sql`
      with inserted as (
        insert into ${entity.table} (${set.columns})
        select distinct on (${recordKey}) ${set.values} from ${set.from}
        join ${millrace.events} e on e.source = r.event_source and e.id = r.event_id and e.batch = ${batch}::uuid
        order by ${recordKey}, e.seq
        on conflict (${key}) do nothing
        returning *
      )
      insert into ${millrace.outbox} (tags) select ${insertTags(entity, 'inserted')} from inserted`;
  });
}

function appendStatements(events: readonly StorableEvent[], batch: string): SQL[] {
  const rows = group(events, (effect) => (effect.kind === 'append' ? effect.history : undefined));
  return [...rows].map(([history, historyRows]) => {
    const set = recordset(history.table, historyRows);
    return sql`
      insert into ${history.table} (event_seq, ${set.columns})
      select e.seq, ${set.values} from ${set.from}
      join ${millrace.events} e on e.source = r.event_source and e.id = r.event_id and e.batch = ${batch}::uuid`;
  });
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

function group<Target>(
  events: readonly StorableEvent[],
  target: (effect: Effect) => Target | undefined,
): Map<Target, EventRow[]> {
  const groups = new Map<Target, EventRow[]>();
  for (const { source, id, effects } of events) {
    for (const effect of effects) {
      const key = target(effect);
      if (key === undefined) continue;
      const rows = groups.get(key) ?? [];
      rows.push({ source, id, row: effect.row });
      groups.set(key, rows);
    }
  }
  return groups;
}
