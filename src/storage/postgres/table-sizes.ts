import { type SQL, sql } from 'drizzle-orm';
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import { getTableConfig, type PgTable } from 'drizzle-orm/pg-core';
import * as z from 'zod';
import * as millrace from './schema.ts';

const Size = z.object({
  name: z.string(),
  /** With indexes and values that are stored apart. */
  bytes: z.coerce.number().int(),
  /** What Postgres estimates; null if it does not know. */
  rows: z.coerce.number().int().nullable(),
});
/** How large a table is. */
export type TableSize = z.output<typeof Size>;

/** A table that was never analysed has no estimate, and statistics of 0 rows may have missed some. */
const SIZE = sql`pg_total_relation_size(c.oid) as bytes,
  coalesce(case when c.reltuples >= 0 then c.reltuples::bigint end, nullif(pg_stat_get_live_tuples(c.oid), 0)) as rows`;

/** The sizes of Millrace's own tables, by name. Reads no rows of them. */
export async function readOwnSizes(db: NeonHttpDatabase): Promise<TableSize[]> {
  const { rows } = await db.execute(sql`
    select c.relname as name, ${SIZE} from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${millrace.schema.schemaName} and c.relkind in ('r', 'p')`);
  return z.array(Size).parse(rows);
}

/** The sizes of tables of the catalog. */
export async function readSizes(db: NeonHttpDatabase, tables: readonly PgTable[]): Promise<TableSize[]> {
  const names = tables.map((table) => {
    const { schema = 'public', name } = getTableConfig(table);
    return { schema, name };
  });
  const { rows } = await db.execute(sql`
    select item->>'name' as name, ${SIZE} from jsonb_array_elements(${JSON.stringify(names)}::jsonb) as item
    join pg_class c on c.oid = to_regclass(format('%I.%I', item->>'schema', item->>'name'))`);
  return z.array(Size).parse(rows);
}

/** A table of Millrace with the moment of its oldest row, and the indexed column by which the row is found. */
export interface Aged {
  readonly name: string;
  readonly oldest: { readonly at: string; readonly by: string };
}

const Oldest = z.object({ name: z.string(), oldest: z.string().nullable() });

/** The moments of the oldest rows, RFC 3339: a row of an index for each table. */
export async function readOldest(
  db: NeonHttpDatabase,
  tables: readonly Aged[],
): Promise<z.output<typeof Oldest>[]> {
  const each = tables.map(({ name, oldest: { at, by } }): SQL => {
    const [table, moment, order] = [name, at, by].map((one) => sql.identifier(one));
    return sql`select ${name} as name, (select
      to_char(${moment} at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') from ${sql.identifier(millrace.schema.schemaName)}.${table}
      where ${moment} is not null order by ${order} limit 1) as oldest`;
  });
  const { rows } = await db.execute(sql.join(each, sql` union all `));
  return z.array(Oldest).parse(rows);
}
