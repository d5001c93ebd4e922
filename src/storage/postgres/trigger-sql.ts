import { getTableName, type SQL } from 'drizzle-orm';
import { getTableConfig, PgDialect, type PgTable } from 'drizzle-orm/pg-core';
import { schema } from './schema.ts';

/** The text of trigger functions, which have no parameters. */

/** Longest name in Postgres, in bytes. It truncates longer names, so two tables could share a function. */
const NAME_BYTES_MAX = 63;

const dialect = new PgDialect();

/** A trigger function of a table, with its triggers. */
export interface CapturedTrigger {
  /** With its schema, as Postgres takes it. */
  readonly table: string;
  readonly functionName: string;
  /** The text of the function. */
  readonly body: string;
  /** The names of the triggers, in their order. */
  readonly triggers: readonly string[];
}

/** Compiles a statement to text. Parameters are an error, because a function definition cannot have any. */
export function compiled(statement: SQL): string {
  const { sql: written, params } = dialect.sqlToQuery(statement);
  if (params.length > 0) throw new Error(`A trigger cannot have parameters: ${written}`);
  return written;
}

/**
 * The name of a table's trigger function: the prefix, then the table's schema and name.
 *
 * @throws Error for a table whose name is too long for a unique function name.
 */
export function functionName(prefix: string, table: PgTable): string {
  const { schema: tableSchema = 'public' } = getTableConfig(table);
  const name = `${prefix} ${tableSchema}.${getTableName(table)}`;
  if (new TextEncoder().encode(name).length > NAME_BYTES_MAX)
    throw new Error(
      `The table "${tableSchema}.${getTableName(table)}" has too long a name for a trigger function: ` +
        `Postgres takes ${NAME_BYTES_MAX} bytes, of which "${prefix} " takes ${prefix.length + 1}.`,
    );
  return name;
}

/** A function's name, qualified by Millrace's schema. */
export function qualified(name: string): string {
  return `${quoted(schema.schemaName)}.${quoted(name)}`;
}

export function literal(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
