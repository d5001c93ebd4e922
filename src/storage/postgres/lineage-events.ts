import { getTableName, type SQL, sql } from 'drizzle-orm';
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import { getTableConfig, type PgTable } from 'drizzle-orm/pg-core';
import * as z from 'zod';
import type { HistoryDefinition } from '../../define/entity.ts';
import { isRowChange } from '../../define/row-change.ts';
import { ownerColumns } from './key-sql.ts';
import { countOf, parseCount, type Sample, Timestamp } from './lineage-read.ts';
import * as millrace from './schema.ts';

const Event = z.object({
  seq: z.coerce.number().int(),
  source: z.string(),
  id: z.string(),
  type: z.string(),
  occurred_at: Timestamp,
  recorded_at: Timestamp,
});

/** A stored event without its data. */
export type StoredEvent = z.output<typeof Event>;
const EVENT = sql`e.seq, e.source, e.id, e.type, e.occurred_at, e.recorded_at`;

/** One event with its data, by its number or by its source and id. */
export async function findEvent(
  db: NeonHttpDatabase,
  by: { readonly seq: number } | { readonly source: string; readonly id: string },
): Promise<(StoredEvent & { readonly data: unknown }) | undefined> {
  const condition = 'seq' in by ? sql`e.seq = ${by.seq}` : sql`e.source = ${by.source} and e.id = ${by.id}`;
  const { rows } = await db.execute(
    sql`select ${EVENT}, e.data from ${millrace.events} e where ${condition}`,
  );
  return rows[0] === undefined ? undefined : Event.extend({ data: z.unknown() }).parse(rows[0]);
}

/**
 * The name of a table in lineage. It includes the schema if that is not `public`, so that no two tables share a name.
 */
export function lineageName(table: PgTable): string {
  const { schema } = getTableConfig(table);
  return schema === undefined ? getTableName(table) : `${schema}.${getTableName(table)}`;
}

/** The names of the history tables that hold a row of an event. */
export async function tablesWith(
  db: NeonHttpDatabase,
  histories: readonly HistoryDefinition[],
  seq: number,
): Promise<string[]> {
  const each = histories.map(
    ({ table }) =>
      sql`select ${lineageName(table)}::text as name where exists (select from ${table} h where h.event_seq = ${seq})`,
  );
  if (each.length === 0) return [];
  const { rows } = await db.execute(sql.join(each, sql` union all `));
  return z
    .array(z.object({ name: z.string() }))
    .parse(rows)
    .map(({ name }) => name);
}

/**
 * The newest events that have a row in one of an owner's histories, or record a change of its own row, and were recorded by
 * a given moment.
 */
export async function sampleEventsOfKey(
  db: NeonHttpDatabase,
  filter: {
    readonly histories: readonly HistoryDefinition[];
    readonly entity: string;
    readonly key: string;
    readonly types: readonly string[];
    /** RFC 3339; undefined for now. */
    readonly knownBy: string | undefined;
  },
  limit: number,
): Promise<Sample<StoredEvent>> {
  const { histories, entity, key, types, knownBy } = filter;
  const rows = histories.flatMap((history) => {
    const column = ownerColumn(history, entity);
    return column === undefined
      ? []
      : [sql`select h.event_seq from ${history.table} h where h.${column} = ${key}`];
  });
  for (const type of types.filter(isRowChange))
    rows.push(
      sql`select r.seq as event_seq from ${millrace.events} r
        where r.type = ${type} and r.${millrace.IS_ROW_CHANGE} and r.data ->> 'key' = ${key}`,
    );
  if (rows.length === 0 || types.length === 0) return { rows: [], total: 0 };
  const known = knownBy === undefined ? sql`true` : sql`e.recorded_at <= ${knownBy}::timestamptz`;
  const typed = sql`e.type in (${sql.join(
    types.map((type) => sql`${type}`),
    sql`, `,
  )})`;
  return await sample(
    db,
    sql`${millrace.events} e join (${sql.join(rows, sql` union `)}) as own on own.event_seq = e.seq where ${known} and ${typed}`,
    limit,
  );
}

/** The newest events in a range of numbers that have a row in a history, optionally only rows with an owner. */
export async function sampleEventsOfHistory(
  db: NeonHttpDatabase,
  { table, owners }: HistoryDefinition,
  range: {
    readonly firstSeq: number;
    readonly lastSeq: number;
    /** RFC 3339. */
    readonly knownBy: string;
    /** Only rows that belong to a key of this entity; undefined for all rows. */
    readonly owner: string | undefined;
  },
  limit: number,
): Promise<StoredEvent[]> {
  const { firstSeq, lastSeq, knownBy, owner } = range;
  const column = ownerColumn({ table, owners }, owner);
  const owned = column === undefined ? sql`true` : sql`h.${column} is not null`;
  const { rows } = await db.execute(sql`
    select distinct on (h.event_seq) ${EVENT} from ${table} h join ${millrace.events} e on e.seq = h.event_seq
    where h.event_seq between ${firstSeq} and ${lastSeq} and ${owned}
      and e.recorded_at <= ${knownBy}::timestamptz
    order by h.event_seq desc limit ${limit}`);
  return rows.map((row) => Event.parse(row));
}

function ownerColumn({ table, owners }: Pick<HistoryDefinition, 'table' | 'owners'>, entity?: string) {
  const owner = owners.find(({ entity: owning }) => owning.name === entity);
  return owner === undefined ? undefined : ownerColumns(owner, table)[0];
}

/**
 * The newest events of a span: by recording time (`from` inclusive, `to` exclusive), by number (both inclusive), or of some
 * types as of a moment (inclusive).
 */
export async function sampleEvents(
  db: NeonHttpDatabase,
  span:
    | { readonly from: string; readonly to: string }
    | { readonly firstSeq: number; readonly lastSeq: number }
    | { readonly types: readonly string[]; readonly knownBy: string },
  limit: number,
): Promise<Sample<StoredEvent>> {
  const condition =
    'from' in span
      ? sql`e.recorded_at >= ${span.from}::timestamptz and e.recorded_at < ${span.to}::timestamptz`
      : 'types' in span
        ? sql`e.recorded_at <= ${span.knownBy}::timestamptz
            and e.type in (select value from jsonb_array_elements_text(${JSON.stringify(span.types)}::jsonb))`
        : sql`e.seq between ${span.firstSeq} and ${span.lastSeq}`;
  return await sample(db, sql`${millrace.events} e where ${condition}`, limit);
}

async function sample(db: NeonHttpDatabase, from: SQL, limit: number): Promise<Sample<StoredEvent>> {
  const [read, counted] = await db.batch([
    db.execute(sql`select ${EVENT} from ${from} order by e.seq desc limit ${limit}`),
    db.execute(countOf(sql`select 1 from ${from}`)),
  ]);
  return { rows: read.rows.map((row) => Event.parse(row)), total: parseCount(counted.rows) };
}
