import { getTableColumns, is, type SQL, sql } from 'drizzle-orm';
import { PgArray, type PgColumn, type PgTable } from 'drizzle-orm/pg-core';
import type { StoredRow } from '../../define/effect.ts';

/** A row together with the event that it comes from, and its place among what that event does. */
export interface EventRow {
  readonly source: string;
  readonly id: string;
  readonly line: number;
  readonly row: StoredRow;
}

/** A column of a recordset that is none of the table's: its name, its type, and its value in each row. */
export interface ExtraColumn {
  readonly name: string;
  readonly type: string;
  readonly values: readonly unknown[];
}

export interface Recordset {
  /** `jsonb_to_recordset(…) as r(…)`, with `m_source`, `m_id` and `m_line` beside the row's own columns. */
  readonly from: SQL;
  /** The row's columns as targets of an insert, and as `r.column`. */
  readonly columns: SQL;
  readonly values: SQL;
}

/**
 * Turns rows of one table into a set that a single statement reads, however many there are: one JSON parameter
 * instead of one parameter per value. A column that only some of the rows name is null in the others: rows that are
 * to be inserted are told apart with `byColumns` first.
 *
 * @throws Error for a property that the table does not have.
 */
export function recordset(
  table: PgTable,
  rows: readonly EventRow[],
  extra: readonly ExtraColumn[] = [],
): Recordset {
  const columns = columnsOf(table, rows);
  const json = rows.map(({ source, id, line, row }, index) => {
    const record: Record<string, unknown> = { m_source: source, m_id: id, m_line: line };
    for (const [property, column] of columns) record[column.name] = jsonValue(column, row[property]);
    for (const { name, values } of extra) record[name] = values[index];
    return record;
  });
  const names = columns.map(([, column]) => sql`${sql.identifier(column.name)}`);
  const types = columns.map(
    ([, column]) => sql`${sql.identifier(column.name)} ${sql.raw(storedType(column))}`,
  );
  const extraTypes = extra.map(({ name, type }) => sql`${sql.identifier(name)} ${sql.raw(type)}`);
  const fields = [sql`m_source text, m_id text, m_line integer`, ...types, ...extraTypes];
  return {
    from: sql`jsonb_to_recordset(${JSON.stringify(json)}::jsonb) as r(${sql.join(fields, sql`, `)})`,
    columns: sql.join(names, sql`, `),
    values: sql.join(
      names.map((name) => sql`r.${name}`),
      sql`, `,
    ),
  };
}

/**
 * Rows in groups that name the same columns. A column that an insert does not name gets its default, so rows that
 * name different ones cannot share a statement. The groups are in an order that does not depend on that of the rows.
 */
export function byColumns<Row extends Pick<EventRow, 'row'>>(rows: readonly Row[]): Row[][] {
  const groups = Map.groupBy(rows, ({ row }) => JSON.stringify(namesOf(row)));
  return [...groups].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, group]) => group);
}

/** The type of a column's values: that of a `serial` is the integer that its sequence counts. */
export function storedType(column: PgColumn): string {
  return column
    .getSQLType()
    .replace(/^(small|big|)serial$/, (_, size: string) => (size === '' ? 'integer' : `${size}int`));
}

/** A value as JSON has it for `jsonb_to_recordset`, which reads texts by the input function of the column's type. */
function jsonValue(column: PgColumn, value: unknown): unknown {
  if (value === null || value === undefined) return null;
  if (is(column, PgArray) && Array.isArray(value))
    return value.map((element) => jsonValue(column.baseColumn, element));
  // drizzle makes these texts, which would be stored as JSON strings.
  if (column.dataType === 'json') return value;
  const driven: unknown = column.mapToDriverValue(value);
  if (typeof driven === 'bigint') return String(driven);
  // JSON has neither; Postgres reads them as text, where the type has them.
  if (typeof driven === 'number' && !Number.isFinite(driven)) return String(driven);
  if (driven instanceof Uint8Array) return `\\x${Buffer.from(driven).toString('hex')}`;
  return driven;
}

function columnsOf(table: PgTable, rows: readonly EventRow[]): [string, PgColumn][] {
  const all: Record<string, PgColumn> = getTableColumns(table);
  const used = new Set(rows.flatMap(({ row }) => namesOf(row)));
  return [...used].map((property) => {
    const column = all[property];
    if (column === undefined)
      throw new Error(`The catalog stores "${property}", which its table does not have.`);
    return [property, column];
  });
}

function namesOf(row: StoredRow): string[] {
  return Object.keys(row)
    .filter((property) => row[property] !== undefined)
    .sort();
}
