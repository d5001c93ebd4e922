import { is } from 'drizzle-orm';
import { getTableConfig, type PgColumn, PgEnumColumn, PgTable } from 'drizzle-orm/pg-core';
import { z } from 'zod';
import { ADOPTED_TABLES, CATALOG_TABLES } from './folders.ts';

/**
 * The tables that the catalog declares, compared with those of the database: before anything is served, a missing
 * migration and a wrong description are one clear error.
 */

/** The catalog's tables by who creates them. */
export interface DeclaredTables {
  /** Those of `tables.ts`, which the catalog's migrations create. */
  readonly own: readonly PgTable[];
  /** Those of `adopted.ts`, which are there already and belong to another tool. */
  readonly adopted: readonly PgTable[];
}

/** Runs one statement and returns its rows. */
export type Query = (text: string, params: unknown[]) => Promise<unknown[]>;

/** The exports of a module that are tables. */
export function tablesOfModule(exports: Readonly<Record<string, unknown>>): PgTable[] {
  return Object.values(exports).filter((value) => is(value, PgTable));
}

/** One declared column as the database has it. `actual` is null where it has none. */
const Found = z.object({
  table: z.string(),
  column: z.string(),
  type: z.string(),
  adopted: z.boolean(),
  hasTable: z.boolean(),
  actual: z.string().nullable(),
  same: z.boolean().nullable(),
});
type Found = z.infer<typeof Found>;

/**
 * Types are compared without length and precision: `varchar(20)` for `varchar(40)` changes no answer. A table
 * without a schema is looked for along the search path, as a statement would. Names are looked up in the catalogs of
 * Postgres, which answer for a schema that Millrace's role may not use as well; `to_regclass` would refuse.
 */
const COMPARE = `
  with declared as (
    select place, item->>'schema' as schema, item->>'name' as name, item->>'table' as "table",
      item->>'column' as "column", item->>'type' as type, item->>'enum' as enum,
      item->>'enumSchema' as enum_schema, (item->>'adopted')::boolean as adopted
    from jsonb_array_elements($1::jsonb) with ordinality as d(item, place)
  )
  select d."table", d."column", d.type, d.adopted, c.oid is not null as "hasTable",
    format_type(a.atttypid, a.atttypmod) as actual,
    case when d.enum is null then a.atttypid = to_regtype(d.type)::oid
      else e.typname = d.enum and ${isNamed('e.typnamespace', 'd.enum_schema', 'pg_type_is_visible(e.oid)')} end as same
  from declared d
  left join pg_class c on c.relname = d.name and c.relkind in ('r', 'p', 'v', 'm', 'f')
    and ${isNamed('c.relnamespace', 'd.schema', 'pg_table_is_visible(c.oid)')}
  left join pg_attribute a on a.attrelid = c.oid and a.attname = d."column" and a.attnum > 0 and not a.attisdropped
  left join pg_type e on e.oid = a.atttypid
  order by d.place`;

/** Whether something is in the schema that is named, or on the search path where none is. */
function isNamed(namespace: string, schema: string, isVisible: string): string {
  return `case when ${schema} is null then ${isVisible}
    else ${namespace} = (select oid from pg_namespace where nspname = ${schema}) end`;
}

/** @throws Error that names each table and column that the database does not have as declared, with the remedy. */
export async function assertDeclared(query: Query, { own, adopted }: DeclaredTables): Promise<void> {
  const columns = [...columnsOf(own, false), ...columnsOf(adopted, true)];
  if (columns.length === 0) return;
  const problems = problemsOf(z.array(Found).parse(await query(COMPARE, [JSON.stringify(columns)])));
  if (problems.length === 0) return;
  throw new Error(
    `The database does not have what the catalog declares:\n${problems.map((line) => `  - ${line}`).join('\n')}`,
  );
}

function columnsOf(tables: readonly PgTable[], adopted: boolean) {
  return tables.flatMap((table) => {
    const { schema, name, columns } = getTableConfig(table);
    return columns.map((column) => ({
      ...{ schema, name, adopted },
      table: schema === undefined ? name : `${schema}.${name}`,
      column: column.name,
      ...typeOf(column),
    }));
  });
}

function typeOf(column: PgColumn) {
  if (is(column, PgEnumColumn)) {
    const { enumName, schema } = column.enum;
    return { type: enumName, enum: enumName, enumSchema: schema };
  }
  // A serial column is an integer with a sequence.
  return { type: column.getSQLType().replace('serial', 'int') };
}

/** One line for each missing table, missing column and other type. */
export function problemsOf(found: readonly Found[]): string[] {
  const lines = found.map((column) => {
    const { file, missing, other } = column.adopted ? ADOPTED : OWN;
    const { table, column: name, type, actual } = column;
    if (!column.hasTable) return `${file}: there is no table ${table}. ${missing}`;
    if (actual === null) return `${file}: the table ${table} has no column ${name}. ${missing}`;
    return column.same === true
      ? undefined
      : `${file}: ${table}.${name} is declared as ${type}, and is ${actual} in the database. ${other}`;
  });
  // A missing table has a line for each of its columns.
  return [...new Set(lines.filter((line) => line !== undefined))];
}

const OWN = {
  file: CATALOG_TABLES,
  missing: 'Run npm run db:generate, then npm run db:migrate.',
  other: 'Run npm run db:generate, then npm run db:migrate.',
};
const ADOPTED = {
  file: ADOPTED_TABLES,
  missing: 'Create it with the tool that owns the table, or correct adopted.ts.',
  other: 'Correct adopted.ts.',
};

/** What Millrace's role lacks on a captured table. */
const Lacking = z.object({
  name: z.string(),
  role: z.string(),
  schemaName: z.string(),
  isTable: z.boolean(),
  usage: z.boolean(),
  select: z.boolean(),
  trigger: z.boolean(),
  owner: z.string(),
});

const PRIVILEGES = `
  select format('%I.%I', n.nspname, c.relname) as name, quote_ident(current_user) as role,
    quote_ident(n.nspname) as "schemaName", c.relkind in ('r', 'p') as "isTable",
    has_schema_privilege(n.oid, 'usage') as usage,
    has_table_privilege(c.oid, 'select') as select, has_table_privilege(c.oid, 'trigger') as trigger,
    pg_get_userbyid(c.relowner) as owner
  from jsonb_array_elements($1::jsonb) with ordinality as d(item, place)
  join pg_class c on c.relname = item->>'name' and c.relkind in ('r', 'p', 'v', 'm', 'f')
    and ${isNamed('c.relnamespace', "item->>'schema'", 'pg_table_is_visible(c.oid)')}
  join pg_namespace n on n.oid = c.relnamespace
  order by d.place`;

/**
 * Asks for what capture needs of each table: that it is a table, and the privileges `select` and `trigger`.
 *
 * @throws Error with the statements that the tables' owners have to run.
 */
export async function assertCapturable(query: Query, tables: readonly PgTable[]): Promise<void> {
  const names = tables.map((table) => {
    const { schema, name } = getTableConfig(table);
    return { schema, name };
  });
  const rows = z.array(Lacking).parse(await query(PRIVILEGES, [JSON.stringify(names)]));
  const problems = rows.flatMap((row) => {
    const { name, role, schemaName, owner } = row;
    if (!row.isTable) return [`${name} is no table. Only tables can have triggers.`];
    if (row.usage && row.select && row.trigger) return [];
    const usage = row.usage ? '' : `grant usage on schema ${schemaName} to ${role}; `;
    return [
      `${role} may not read ${name} and create triggers on it. Its owner ${owner} has to run: ` +
        `${usage}grant select, trigger on ${name} to ${role};`,
    ];
  });
  if (problems.length === 0) return;
  throw new Error(
    `Other writers cannot be captured:\n${problems.map((line) => `  - ${line}`).join('\n')}\nNothing was changed.`,
  );
}
