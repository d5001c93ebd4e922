import { Column, is, SQL } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';
import * as z from 'zod';
import type { Catalog } from '../../define/catalog.ts';
import { encodeCursor, orderOfCursor } from '../../define/list-cursor.ts';
import type { SortColumn, SortType } from '../../define/sort-column.ts';
import { columnsOf, tableName } from './tables.ts';

/** Made-up values of columns, as the driver of the database returns them. */

/** Values that columns hold, by `table.column`, as drizzle has them. */
export type KnownValues = ReadonlyMap<string, unknown>;

/** The time of made-up moments. */
const MOMENT = '2026-01-01 00:00:00+00';
const SORT_MOMENT = '0';
const UUID = '0b1f7a52-6c6e-4a39-9a53-9a4f6c4d1c11';

/** Values that columns are known to hold: those that events store for their examples. */
export function knownValues({ events }: Pick<Catalog, 'events'>, now: number): KnownValues {
  const known = new Map<string, unknown>();
  for (const { example, interpret } of events) {
    if (example === undefined) continue;
    const meaning = interpret(example, { occurredAt: now, now });
    if (!meaning.ok) continue;
    for (const effect of meaning.effects) {
      const table = effect.kind === 'append' ? effect.history.table : effect.entity.table;
      const rows =
        'row' in effect
          ? [effect.row]
          : [effect.key, ...('orInsert' in effect ? [effect.orInsert ?? {}] : [])];
      for (const [property, value] of rows.flatMap((row) => Object.entries(row))) {
        const column = columnsOf(table)[property];
        const name = `${tableName(table)}.${column?.name ?? ''}`;
        if (column !== undefined && value !== null && !known.has(name)) known.set(name, value);
      }
    }
  }
  return known;
}

/** Makes rows for the queries of one view. */
export class SampleRows {
  readonly #known: KnownValues;
  readonly #named: ReadonlyMap<string, unknown>;

  /** @param response a text of one of its fields that takes few values is one of these. */
  constructor(known: KnownValues, response: z.ZodType) {
    this.#known = known;
    this.#named = enumerated(z.toJSONSchema(response, { io: 'output', unrepresentable: 'any' }));
  }

  /** A value of a selected field, as the driver returns it. */
  valueOf(field: unknown, name: string): unknown {
    if (is(field, SQL.Aliased)) return this.valueOf(field.sql, name);
    if (is(field, Column)) return this.columnValue(field as PgColumn, name);
    if (typeof field !== 'object' || field === null) return '1';
    const orderBy = orderOfCursor(field);
    if (orderBy !== undefined) return this.cursor(orderBy);
    // `max(column)` reads as the column does.
    const decoder: unknown = Reflect.get(field, 'decoder');
    return is(decoder, Column) ? this.columnValue(decoder as PgColumn, name) : '1';
  }

  /** A cursor of an order. */
  cursor(orderBy: readonly SortColumn[]): string {
    return encodeCursor(orderBy.map(({ column, type }) => sortText(type, this.columnValue(column, ''))));
  }

  columnValue(column: PgColumn, name: string): unknown {
    const type = column.getSQLType();
    if (type.endsWith(']')) return [];
    if (/^(timestamp|date)/.test(type)) return type === 'date' ? MOMENT.slice(0, 10) : MOMENT;
    if (/^time/.test(type)) return '00:00:00';
    const named = column.dataType === 'string' ? this.#named.get(name) : undefined;
    const known = this.#known.get(`${tableName(column.table)}.${column.name}`);
    if (named !== undefined || known !== undefined) return column.mapToDriverValue(named ?? known);
    if (column.enumValues !== undefined && column.enumValues.length > 0) return column.enumValues[0];
    if (type === 'boolean') return true;
    if (type === 'uuid') return UUID;
    if (/^jsonb?$/.test(type)) return {};
    return '1';
  }
}

/** The exact text of a made-up value, as cursors have it. */
function sortText(type: SortType, value: unknown): string {
  switch (type.kind) {
    case 'time':
      return SORT_MOMENT;
    case 'float':
      return '0'.repeat(2 * type.bytes);
    case 'numeric':
      return '1';
    case 'integer':
      return /^-?\d+$/.test(String(value)) ? String(value) : '1';
    default:
      return String(value);
  }
}

/** The first value of each property of a JSON Schema that takes few values, by the name of the property. */
function enumerated(schema: unknown, found = new Map<string, unknown>()): Map<string, unknown> {
  if (Array.isArray(schema)) for (const part of schema) enumerated(part, found);
  if (typeof schema !== 'object' || schema === null) return found;
  for (const [name, part] of Object.entries(schema)) {
    if (name === 'properties' && typeof part === 'object' && part !== null)
      for (const [property, of] of Object.entries(part)) {
        const [value] = valuesOf(of);
        if (value !== undefined && !found.has(property)) found.set(property, value);
      }
    enumerated(part, found);
  }
  return found;
}

/** The values that a JSON Schema lists. */
export function valuesOf(schema: unknown): readonly unknown[] {
  if (typeof schema !== 'object' || schema === null) return [];
  if ('enum' in schema && Array.isArray(schema.enum)) return schema.enum;
  if ('const' in schema) return [schema.const];
  return 'anyOf' in schema && Array.isArray(schema.anyOf) ? schema.anyOf.flatMap(valuesOf) : [];
}
