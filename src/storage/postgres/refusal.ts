import { getTableColumns, getTableName } from 'drizzle-orm';
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core';
import type { Effect, StoredRow } from '../../define/effect.ts';
import { sqlState } from './connect.ts';

/** What Postgres says of a statement that it refused (Postgres manual, appendix A and "Error and Notice Message Fields"). */
export interface DatabaseRefusal {
  readonly sqlState: string;
  /** Names no values of other rows, which the message's own detail does. */
  readonly message: string;
  readonly table: string | undefined;
  readonly column: string | undefined;
  readonly constraint: string | undefined;
}

/** Wrappers that drivers put around an error. */
const CAUSES_MAX = 5;
/** Characters of Postgres' message that are kept: it may quote a value of any length. */
const MESSAGE_CHARACTERS_MAX = 300;

/** What Postgres says; undefined for an error that is not of Postgres. */
export function refusalOf(error: unknown): DatabaseRefusal | undefined {
  const state = sqlState(error);
  if (state === undefined) return undefined;
  let cause = error;
  for (let depth = 0; cause instanceof Error && depth < CAUSES_MAX; depth += 1) {
    if ('code' in cause && cause.code === state) break;
    cause = cause.cause;
  }
  const of: object = typeof cause === 'object' && cause !== null ? cause : {};
  const field = (name: string): string | undefined => {
    const value: unknown = Reflect.get(of, name);
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  return {
    sqlState: state,
    message: (field('message') ?? '').slice(0, MESSAGE_CHARACTERS_MAX),
    table: field('table'),
    column: field('column'),
    constraint: field('constraint'),
  };
}

/** Whether a statement does not fit the tables: one is missing, or a column, a type or a right (class 42). */
export function isMismatch({ sqlState: state }: DatabaseRefusal): boolean {
  return state.startsWith('42');
}

/** A sentence that names all that is known. */
export function describeRefusal({ sqlState: state, message, ...where }: DatabaseRefusal): string {
  const named = (['table', 'column', 'constraint'] as const).flatMap((kind) =>
    where[kind] === undefined ? [] : [`${kind} "${where[kind]}"`],
  );
  return `SQLSTATE ${[state, ...named].join(', ')}: ${message}.`;
}

/** A property of a row that an event stores, and its value. */
interface StoredValue {
  readonly property: string;
  readonly column: PgColumn;
  readonly value: unknown;
}

/**
 * Completes a refusal of one event by the table and column at fault, and names the property that its catalog stores
 * there. Postgres names neither for a value that its type cannot hold, so they are found by the value or the type that
 * its message quotes, where only one column fits.
 */
export function locate(
  refusal: DatabaseRefusal,
  effects: readonly Effect[],
): { readonly refusal: DatabaseRefusal; readonly property: string | undefined } {
  const stored = effects.flatMap((effect) => {
    const { table } = effect.kind === 'append' ? effect.history : effect.entity;
    return valuesOf(table, storedBy(effect)).map((value) => ({ ...value, table: getTableName(table) }));
  });
  const fits = stored.filter(({ table, column, value }) =>
    refusal.column === undefined
      ? refusal.constraint === undefined && isAtFault(refusal.message, column, value)
      : column.name === refusal.column && (refusal.table ?? table) === table,
  );
  const [first, ...others] = fits;
  if (first === undefined || others.some(({ column }) => column !== first.column))
    return { refusal, property: undefined };
  const { table, column, property } = first;
  return { refusal: { ...refusal, table, column: column.name }, property };
}

function storedBy(effect: Effect): StoredRow {
  if (effect.kind === 'increment') return { ...effect.orInsert, ...effect.key, ...effect.by };
  return effect.kind === 'remove' ? effect.key : effect.row;
}

function valuesOf(table: PgTable, row: StoredRow): StoredValue[] {
  const columns: Readonly<Record<string, PgColumn>> = getTableColumns(table);
  return Object.entries(row).flatMap(([property, value]) => {
    const column = columns[property];
    return column === undefined ? [] : [{ property, column, value }];
  });
}

function isAtFault(message: string, column: PgColumn, value: unknown): boolean {
  if (value === null || value === undefined) return false;
  if (message.includes(`"${String(value)}"`)) return true;
  const type = column.getSQLType();
  const [, length] = /^(?:var)?char\((\d+)\)$/.exec(type) ?? [];
  if (length !== undefined && message.includes(`(${length})`))
    return [...String(value)].length > Number(length);
  const [, precision, scale = '0'] = /^numeric\((\d+)(?:, ?(\d+))?\)$/.exec(type) ?? [];
  if (precision === undefined || message !== 'numeric field overflow') return false;
  return Math.abs(Number(value)) >= 10 ** (Number(precision) - Number(scale));
}
