import { sql } from 'drizzle-orm';
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import { getTableConfig, type PgTable } from 'drizzle-orm/pg-core';
import * as z from 'zod';
import { DEAD_LETTER } from './quarantine.ts';
import * as millrace from './schema.ts';
import type { CapturedTrigger } from './trigger-sql.ts';

/** What a diagnosis reads from the database. Each function is one statement. */

/** The most changes that are counted as pending: counting more takes longer than a diagnosis may. */
export const PENDING_COUNTED_MAX = 100_000;

const Server = z.object({ version: z.string(), atMs: z.coerce.number() });
/** The version of Postgres, and its clock in milliseconds since the Unix epoch. */
export type DatabaseServer = z.output<typeof Server>;

export async function readServer(db: NeonHttpDatabase): Promise<DatabaseServer> {
  const { rows } = await db.execute(sql`
    select current_setting('server_version') as version, extract(epoch from clock_timestamp()) * 1000 as "atMs"`);
  return Server.parse(rows[0]);
}

/** The moments by which drizzle's migrator names the migrations of Millrace's own tables that it has applied. */
export async function readAppliedMigrations(db: NeonHttpDatabase): Promise<number[]> {
  const { rows } = await db.execute(sql`
    select created_at as "at" from ${sql.identifier(millrace.schema.schemaName)}.migrations order by created_at`);
  return z
    .array(z.object({ at: z.coerce.number() }))
    .parse(rows)
    .map(({ at }) => at);
}

const Column = z.object({ table: z.string(), column: z.string() });

/** The declared columns that the database does not have, as `[table, column]`; the column is null for a missing table. */
export async function readMissingColumns(
  db: NeonHttpDatabase,
  tables: readonly PgTable[],
): Promise<{ readonly table: string; readonly column: string | null }[]> {
  const declared = tables.flatMap((table) => {
    const { schema, name, columns } = getTableConfig(table);
    return columns.map((column) => ({ schema: schema ?? null, name, column: column.name }));
  });
  const { rows } = await db.execute(sql`
    select item->>'name' as "table", case when class.oid is not null then item->>'column' end as "column"
    from jsonb_array_elements(${JSON.stringify(declared)}::jsonb) as item
    left join pg_class as class on class.oid = to_regclass(concat_ws('.', quote_ident(item->>'schema'), quote_ident(item->>'name')))
    left join pg_attribute as attribute
      on attribute.attrelid = class.oid and attribute.attname = item->>'column' and attribute.attnum > 0
        and not attribute.attisdropped
    where attribute.attname is null group by 1, 2 order by 1, 2`);
  return z.array(Column.extend({ column: z.string().nullable() })).parse(rows);
}

const Trigger = z.object({
  table: z.string(),
  functionName: z.string(),
  body: z.string(),
  triggers: z.array(z.string()),
});
/** A trigger function of a table with its text and the names of its enabled triggers. */
export type InstalledTrigger = z.output<typeof Trigger>;

export async function readCaptureTriggers(
  db: NeonHttpDatabase,
  expected: readonly CapturedTrigger[],
): Promise<InstalledTrigger[]> {
  const sought = expected.map(({ table, functionName }) => ({ table, functionName }));
  const { rows } = await db.execute(sql`
    select item->>'table' as "table", procedure.proname::text as "functionName", procedure.prosrc as body, array(
      select tgname::text from pg_trigger
      where tgrelid = to_regclass(item->>'table') and tgfoid = procedure.oid and tgenabled in ('O', 'A')
      order by tgname) as triggers
    from jsonb_array_elements(${JSON.stringify(sought)}::jsonb) as item
    join pg_proc as procedure on procedure.proname = item->>'functionName'
    join pg_namespace as space on space.oid = procedure.pronamespace and space.nspname = ${millrace.schema.schemaName}`);
  return z.array(Trigger).parse(rows);
}

const Waiting = z.object({
  pending: z.coerce.number().int(),
  oldestS: z.coerce.number().nullable(),
  quarantined: z.coerce.number().int(),
  deadLetters: z.coerce.number().int(),
});
/** What waits in the database: changes that are not relayed, refused events and dead letters that are open. */
export type Waiting = z.output<typeof Waiting>;

export async function readWaiting(db: NeonHttpDatabase): Promise<Waiting> {
  const { rows } = await db.execute(sql`
    select
      (select count(*) from (
        select from ${millrace.outbox} where relayed_at is null limit ${PENDING_COUNTED_MAX}) as counted) as pending,
      (select extract(epoch from now() - created_at) from ${millrace.outbox}
        where relayed_at is null order by id limit 1) as "oldestS",
      (select count(*) from ${millrace.quarantine} where state = 'open' and reason <> ${DEAD_LETTER}) as quarantined,
      (select count(*) from ${millrace.quarantine} where state = 'open' and reason = ${DEAD_LETTER}) as "deadLetters"`);
  return Waiting.parse(rows[0]);
}
