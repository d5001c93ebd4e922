import { getTableColumns, type SQL, sql } from 'drizzle-orm';
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core';
import type { StoredRow } from '../../define/event.ts';

/** A row together with the identity of the event that it comes from. */
export interface EventRow {
  readonly source: string;
  readonly id: string;
  readonly row: StoredRow;
}

export interface Recordset {
  /** `jsonb_to_recordset(…) as r(…)`, with `event_source` and `event_id` beside the row's own columns. */
  readonly from: SQL;
  /** The row's columns as targets of an insert, and as `r.column`. */
  readonly columns: SQL;
  readonly values: SQL;
}

/**
 * Turns rows of one table into a set that a single statement inserts from, however many there are: one JSON
 * parameter instead of one parameter per value.
 */
export function recordset(table: PgTable, rows: readonly EventRow[]): Recordset {
  const columns = columnsOf(table, rows);
  const json = rows.map(({ source, id, row }) => {
    const record: Record<string, unknown> = { event_source: source, event_id: id };
    for (const [property, column] of columns) record[column.name] = row[property] ?? null;
    return record;
  });
  const names = columns.map(([, column]) => sql.identifier(column.name));
  const types = columns.map(
    ([, column]) => sql`${sql.identifier(column.name)} ${sql.raw(column.getSQLType())}`,
  );
  return {
    from: sql`jsonb_to_recordset(${JSON.stringify(json)}::jsonb) as r(event_source text, event_id text, ${join(types)})`,
    columns: join(names),
    values: join(names.map((name) => sql`r.${name}`)),
  };
}

function columnsOf(table: PgTable, rows: readonly EventRow[]): [string, PgColumn][] {
  const all: Record<string, PgColumn> = getTableColumns(table);
  const used = Object.keys(rows[0]?.row ?? {});
  return used.map((property) => {
    const column = all[property];
    if (column === undefined)
      throw new Error(`The catalog stores "${property}", which its table does not have.`);
    return [property, column];
  });
}

function join(parts: readonly SQL[] | readonly ReturnType<typeof sql.identifier>[]): SQL {
  return sql.join([...parts], sql`, `);
}
