import { getTableColumns } from 'drizzle-orm';
import type { PgTable } from 'drizzle-orm/pg-core';
import { type Effect, insertedRow, type RowEffect, type StoredRow } from './effect.ts';
import { type HistoryDefinition, ownerKey } from './entity.ts';
import { unaddressablePart } from './key.ts';

/** A value that would be stored as another, or could not be addressed. */
export interface UnstorableValue {
  readonly property: string;
  readonly detail: string;
}

/** The columns of a table that round numbers, each with its check. */
type Rounding = readonly {
  readonly property: string;
  readonly isExact: (number: string) => boolean;
  readonly keeps: string;
}[];

const known = new WeakMap<PgTable, Rounding>();

/**
 * The first number that its column would round: Postgres rounds a `numeric` with a scale and a `real` without an error,
 * so the row would differ from the event, and from what the write's answer echoes.
 *
 * @param row by property of the table, as drizzle takes it.
 */
export function inexactValue(table: PgTable, row: StoredRow): UnstorableValue | undefined {
  for (const { property, isExact, keeps } of roundingOf(table)) {
    const value = row[property];
    const isNumber = typeof value === 'number' || (typeof value === 'string' && DECIMAL.test(value));
    if (isNumber && !isExact(String(value)))
      return { property, detail: `"${property}" is ${String(value)}, and its column keeps ${keeps}.` };
  }
  return undefined;
}

/**
 * The first value of an event's effects that would not be found as it was sent: a number that its column rounds, or a
 * key that no path can address.
 */
export function unstorableValue(effects: readonly Effect[]): UnstorableValue | undefined {
  for (const effect of effects) {
    const found =
      effect.kind === 'append' ? unstorableLine(effect.history, effect.row) : unstorableRow(effect);
    if (found !== undefined) return found;
  }
  return undefined;
}

function unstorableLine(history: HistoryDefinition, row: StoredRow): UnstorableValue | undefined {
  for (const owner of history.owners) {
    const key = ownerKey(owner, row);
    const property = key === null ? undefined : unaddressablePart(owner.entity.key, key);
    if (property !== undefined) return unaddressable(owner.properties[property] ?? property);
  }
  return inexactValue(history.table, row);
}

function unstorableRow(effect: RowEffect): UnstorableValue | undefined {
  const { key, table } = effect.entity;
  const row = effect.kind === 'set' ? effect.row : insertedRow(effect);
  const property = unaddressablePart(key, 'key' in effect ? effect.key : effect.row);
  if (property !== undefined) return unaddressable(property);
  const amounts = effect.kind === 'increment' ? inexactValue(table, effect.by) : undefined;
  return amounts ?? (row === undefined ? undefined : inexactValue(table, row));
}

function unaddressable(property: string): UnstorableValue {
  return {
    property,
    detail: `"${property}" is a key, and a path cannot contain "." or ".." as a segment.`,
  };
}

const DECIMAL = /^-?\d*\.?\d+(?:e[-+]?\d+)?$/i;

function roundingOf(table: PgTable): Rounding {
  const before = known.get(table);
  if (before !== undefined) return before;
  const found = Object.entries(getTableColumns(table)).flatMap(([property, column]): Rounding => {
    const type = column.getSQLType();
    if (type === 'real') return [{ property, isExact: isExactReal, keeps: 'single precision (real)' }];
    const scale = scaleOf(type);
    if (scale === undefined) return [];
    return [{ property, isExact: (number) => decimalsOf(number) <= scale, keeps: `${scale} decimals` }];
  });
  known.set(table, found);
  return found;
}

/** The decimals of `numeric(12, 4)`, or of `numeric(12)`, which has none; undefined for types that keep any number. */
function scaleOf(type: string): number | undefined {
  const match = /^numeric\((\d+)(?:,\s*(\d+))?\)$/.exec(type);
  return match === null ? undefined : Number(match[2] ?? 0);
}

function decimalsOf(number: string): number {
  const [, fraction = '', exponent = '0'] = /^-?\d*(?:\.(\d+))?(?:e([-+]?\d+))?$/i.exec(number) ?? [];
  const whole = /^-?(\d*)/.exec(number)?.[1] ?? '';
  const digits = `${whole}${fraction}`.replace(/0+$/, '');
  const dropped = whole.length + fraction.length - digits.length;
  return digits === '' ? 0 : Math.max(0, fraction.length - dropped - Number(exponent));
}

/** Postgres writes a `real` as the shortest decimal that it is nearest to. */
function isExactReal(number: string): boolean {
  const value = Number(number);
  const stored = Math.fround(value);
  if (!Number.isFinite(value)) return true;
  for (let digits = 6; digits <= 9; digits += 1) {
    const shortest = Number(stored.toPrecision(digits));
    if (Math.fround(shortest) === stored) return shortest === value;
  }
  return false;
}
