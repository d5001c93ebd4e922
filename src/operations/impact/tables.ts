import { getTableColumns, type Table } from 'drizzle-orm';
import { getTableConfig, type PgColumn, type PgTable } from 'drizzle-orm/pg-core';
import type { Catalog } from '../../define/catalog.ts';

/** The name that a table has in the database, also where a query gives it another one. */
const ORIGINAL_NAME = Symbol.for('drizzle:OriginalName');

/** A table as elements name it: with its schema if that is not `public`. */
export function tableName(table: Table): string {
  const { schema, name } = getTableConfig(table as PgTable);
  const original: unknown = Reflect.get(table, ORIGINAL_NAME);
  const own = typeof original === 'string' ? original : name;
  return schema === undefined || schema === 'public' ? own : `${schema}.${own}`;
}

/** The columns of a table by their properties. */
export function columnsOf(table: PgTable): Readonly<Record<string, PgColumn>> {
  return getTableColumns(table);
}

/** The tables of a catalog's entities and histories, by their names. */
export function tablesOf({
  entities,
  histories,
}: Pick<Catalog, 'entities' | 'histories'>): Map<string, PgTable> {
  return new Map([...entities, ...histories].map(({ table }) => [tableName(table), table]));
}
