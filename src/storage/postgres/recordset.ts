import { getTableColumns, is, type SQL, sql } from 'drizzle-orm';
import { PgArray, type PgColumn, type PgTable } from 'drizzle-orm/pg-core';
import type { StoredRow } from '../../define/effect.ts';
import * as millrace from './schema.ts';

/** A row with the event that it comes from, and its position among that event's effects. */
export interface EventRow {
  readonly source: string;
  readonly id: string;
  readonly line: number;
  readonly row: StoredRow;
}

/** A column of a recordset that the table does not have: its name, its type, and its value in each row. */
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
 * Turns rows of one table into a set that a single statement reads, however many rows there are. The statement takes
 * one JSON parameter instead of one parameter per value. If only some rows name a column, it is null in the others, so
 * rows to insert must be grouped with `byColumns` first.
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
    for (const { property, name, encode } of columns) record[name] = encode(row[property]);
    for (const { name, values } of extra) record[name] = values[index];
    return record;
  });
  const names = columns.map(({ name }) => sql`${sql.identifier(name)}`);
  const extraTypes = extra.map(({ name, type }) => sql`${sql.identifier(name)} ${sql.raw(type)}`);
  const fields = [sql`m_source text, m_id text, m_line integer`, ...typesOf(columns), ...extraTypes];
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
 * Joins the events that this transaction stored, as `e` with `seq` and `occurred_at`, to a set `r` that has `m_source`
 * and `m_id`. It leaves out the rows of duplicates, which another transaction stored.
 *
 * Each row costs one lookup in the unique index of source and id, whatever the planner knows of the table. As a plain
 * join, Postgres estimates it at one row and may read the whole batch again for each row, by the index of `batch`; and
 * so may the statement's later joins. The inner limit keeps the condition on `batch` out of the lookup, and the outer one
 * keeps the estimate at the size of the set.
 */
export function freshEvents(batch: string): SQL {
  return sql`
    cross join lateral (
      select found.seq, found.occurred_at from (
        select m.seq, m.occurred_at, m.batch from ${millrace.events} m
        where m.source = r.m_source and m.id = r.m_id limit 1
      ) as found
      where found.batch = ${batch}::uuid limit 1
    ) as e`;
}

/**
 * The distinct rows of one table as `jsonb_to_recordset(…) as r(…)`, without the events that they come from. Rows may
 * still be equal for Postgres, where a type has several texts for one value.
 */
export function distinctRecords(table: PgTable, rows: readonly StoredRow[]): SQL {
  const columns = columnsOf(
    table,
    rows.map((row) => ({ row })),
  );
  const records = new Set(
    rows.map((row) =>
      JSON.stringify(
        Object.fromEntries(columns.map(({ property, name, encode }) => [name, encode(row[property])])),
      ),
    ),
  );
  return sql`jsonb_to_recordset(${`[${[...records].join(',')}]`}::jsonb) as r(${sql.join(typesOf(columns), sql`, `)})`;
}

/**
 * Groups rows that name the same columns. An insert sets an unnamed column to its default, so rows that name different
 * columns cannot share a statement. The order of the groups does not depend on the order of the rows.
 */
export function byColumns<Row extends Pick<EventRow, 'row'>>(rows: readonly Row[]): Row[][] {
  const groups = Map.groupBy(rows, ({ row }) => JSON.stringify(namesOf(row)));
  return [...groups].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, group]) => group);
}

/** The type of a column's values. For a `serial` it is the integer type of the sequence. */
export function storedType(column: PgColumn): string {
  return column
    .getSQLType()
    .replace(/^(small|big|)serial$/, (_, size: string) => (size === '' ? 'integer' : `${size}int`));
}

/** A column that rows of a recordset name. */
interface NamedColumn {
  readonly property: string;
  readonly name: string;
  readonly type: string;
  /** The column's value in JSON. Made once for all rows, because it depends on the column's class. */
  readonly encode: (value: unknown) => unknown;
}

/** Values in JSON for `jsonb_to_recordset`, which parses texts with the input function of the column's type. */
function encoderOf(column: PgColumn): NamedColumn['encode'] {
  // drizzle would serialise the value to text, and Postgres would store that text as a JSON string.
  const isJson = column.dataType === 'json';
  const element = is(column, PgArray) ? encoderOf(column.baseColumn) : undefined;
  return (value) => {
    if (value === null || value === undefined) return null;
    if (element !== undefined && Array.isArray(value)) return value.map(element);
    return isJson ? value : drivenValue(column, value);
  };
}

function drivenValue(column: PgColumn, value: unknown): unknown {
  const driven: unknown = column.mapToDriverValue(value);
  if (typeof driven === 'bigint') return String(driven);
  // JSON has no infinity and no NaN. Postgres parses them from text if the type has them.
  if (typeof driven === 'number' && !Number.isFinite(driven)) return String(driven);
  if (driven instanceof Uint8Array) return `\\x${Buffer.from(driven).toString('hex')}`;
  return driven;
}

function columnsOf(table: PgTable, rows: readonly Pick<EventRow, 'row'>[]): NamedColumn[] {
  const all: Record<string, PgColumn> = getTableColumns(table);
  const used = new Set<string>();
  for (const { row } of rows)
    for (const property of Object.keys(row)) if (row[property] !== undefined) used.add(property);
  return [...used].sort().map((property) => {
    const column = all[property];
    if (column === undefined)
      throw new Error(
        `The catalog stores "${property}", which its table does not have. Add the column, or correct \`stores\`.`,
      );
    return { property, name: column.name, type: storedType(column), encode: encoderOf(column) };
  });
}

function typesOf(columns: readonly NamedColumn[]): SQL[] {
  return columns.map(({ name, type }) => sql`${sql.identifier(name)} ${sql.raw(type)}`);
}

function namesOf(row: StoredRow): string[] {
  return Object.keys(row)
    .filter((property) => row[property] !== undefined)
    .sort();
}
