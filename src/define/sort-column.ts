import { getTableColumns, type SQL, sql } from 'drizzle-orm';
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core';
import { isStorableText } from '../platform/json.ts';
import { DeclarationMistake } from './mistake.ts';
import { isTime, type TimeType, timeFromDate, timeFromText, timeToText } from './sort-time.ts';

/**
 * Columns by which a list can be ordered. Each value has an exact text for cursors, and hexadecimal digits for tags,
 * which sort as Postgres sorts the column. No value's digits are a prefix of another value's, so the digits of the next
 * column can follow. `storage/postgres/list-tags.ts` computes the same digits in SQL.
 */
export type SortType =
  /** The text itself; UTF-8 and a zero byte, which no text of Postgres contains: the order of `collate "C"`. */
  | { readonly kind: 'text' }
  /** A decimal integer of 64 bits; its digits are those of `integerDigits`. */
  | { readonly kind: 'integer'; readonly bits: 16 | 32 | 64 }
  /** The value times 10^scale, an integer of at most `precision` decimal digits; `NaN` comes last. */
  | { readonly kind: 'numeric'; readonly scale: number; readonly precision: number }
  /**
   * Microseconds or days since 2000-01-01, with the infinities at the ends. `isDate` if drizzle returns a `Date`, which
   * has no microseconds, no infinities, and different years before the year 100.
   */
  | { readonly kind: 'time'; readonly type: TimeType; readonly isZoned: boolean; readonly isDate: boolean }
  /** IEEE 754 bits. -0 equals 0; `NaN` equals itself and comes last. */
  | { readonly kind: 'float'; readonly bytes: 4 | 8 }
  | { readonly kind: 'uuid' }
  | { readonly kind: 'boolean' };

export interface SortColumn {
  /** The property of the drizzle table. */
  readonly property: string;
  readonly column: PgColumn;
  readonly type: SortType;
  readonly descending: boolean;
}

/** The most decimal digits of a numeric column that fit a 64-bit integer. */
const NUMERIC_DIGITS_MAX = 18;
/** The most decimal digits that a JavaScript number holds without loss. */
const NUMBER_DIGITS_MAX = 15;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const INTEGER = /^(0|-?[1-9]\d{0,18})$/;

/** How a column sorts, or undefined if its order could differ between the database and this module. */
export function sortTypeOf(column: PgColumn): SortType | undefined {
  const type = column.getSQLType();
  if (type === 'text' || type.startsWith('varchar')) return { kind: 'text' };
  if (type === 'uuid') return { kind: 'uuid' };
  if (type === 'boolean') return { kind: 'boolean' };
  if (type === 'smallint' || type === 'smallserial') return { kind: 'integer', bits: 16 };
  if (type === 'integer' || type === 'serial') return { kind: 'integer', bits: 32 };
  if (type === 'bigint' || type === 'bigserial') return { kind: 'integer', bits: 64 };
  if (type === 'real') return { kind: 'float', bytes: 4 };
  if (type === 'double precision') return { kind: 'float', bytes: 8 };
  const isDate = column.dataType === 'date';
  if (type === 'date') return { kind: 'time', type: 'date', isZoned: false, isDate };
  if (type.startsWith('timestamp'))
    return { kind: 'time', type: 'timestamp', isZoned: type.endsWith('with time zone'), isDate };
  const [, precision, scale = '0'] = /^numeric\((\d+)(?:, ?(\d+))?\)$/.exec(type) ?? [];
  const most = column.dataType === 'number' ? NUMBER_DIGITS_MAX : NUMERIC_DIGITS_MAX;
  if (precision === undefined || Number(precision) > most || Number(scale) > most) return undefined;
  return { kind: 'numeric', precision: Number(precision), scale: Number(scale) };
}

/**
 * A column of an order.
 *
 * @param order the subject of the messages, for example `The list "by-bikes"`.
 * @throws DeclarationMistake for a column of another table, of a type whose order is not known exactly, or that may be null.
 */
export function sortColumn(
  order: string,
  table: PgTable,
  column: PgColumn,
  isDescending: boolean,
): SortColumn {
  const type = sortTypeOf(column);
  if (type === undefined)
    throw new DeclarationMistake(
      `${order} cannot be ordered by "${column.name}", which is ${column.getSQLType()}.`,
      `Use text, varchar, an integer, numeric of at most 18 digits (15 in the mode "number"), real, double precision, timestamp, date, boolean or uuid.`,
    );
  if (!column.notNull && !column.primary)
    throw new DeclarationMistake(
      `${order} is ordered by "${column.name}", which may be null.`,
      'Declare the column `notNull`, or order by another.',
    );
  return { property: propertyOf(order, table, column), column, type, descending: isDescending };
}

/** The property of a column. @throws DeclarationMistake for a column of another table. */
export function propertyOf(order: string, table: PgTable, column: PgColumn): string {
  const found = Object.entries(getTableColumns(table)).find(([, candidate]) => candidate === column);
  if (found === undefined)
    throw new DeclarationMistake(
      `${order} names a column of another table.`,
      'Name columns of its own table.',
    );
  return found[0];
}

/**
 * The exact text of a value as drizzle returns it.
 *
 * @throws TypeError for a value that the column cannot hold.
 */
export function exactText({ property, column, type }: SortColumn, value: unknown): string {
  const text = textOf(type, value);
  if (text === undefined || !isExactText(type, text))
    throw new TypeError(
      `${describe(value)} is not a value of "${property}", which is ${column.getSQLType()}.`,
    );
  return text;
}

function textOf(type: SortType, value: unknown): string | undefined {
  switch (type.kind) {
    case 'text':
      return typeof value === 'string' ? value : undefined;
    case 'uuid':
      return typeof value === 'string' ? value.toLowerCase() : undefined;
    case 'boolean':
      return typeof value === 'boolean' ? String(value) : undefined;
    case 'integer':
      return typeof value === 'bigint' || (typeof value === 'number' && Number.isSafeInteger(value))
        ? String(value)
        : undefined;
    case 'numeric':
      return scaledText(type.scale, value);
    case 'float':
      return typeof value === 'number' ? floatBits(type.bytes, value) : undefined;
    case 'time':
      if (typeof value === 'string') return timeFromText(type.type, value, type.isZoned)?.toString();
      return value instanceof Date ? timeFromDate(type.type, value)?.toString() : undefined;
  }
}

/** Whether the text is the exact text of a value that the type can hold. */
export function isExactText(type: SortType, text: string): boolean {
  switch (type.kind) {
    case 'text':
      return isStorableText(text);
    case 'uuid':
      return UUID.test(text);
    case 'boolean':
      return text === 'true' || text === 'false';
    case 'float':
      return new RegExp(`^[0-9a-f]{${2 * type.bytes}}$`).test(text);
    case 'integer': {
      if (!INTEGER.test(text)) return false;
      const most = 2n ** BigInt(type.bits - 1);
      return BigInt(text) >= -most && BigInt(text) < most;
    }
    case 'numeric':
      return text === 'NaN' || (INTEGER.test(text) && absolute(BigInt(text)) < 10n ** BigInt(type.precision));
    case 'time':
      return INTEGER.test(text) && isTime(type.type, BigInt(text));
  }
}

/** The digits of an exact text, in the column's direction. */
export function sortDigits({ type, descending }: SortColumn, text: string): string {
  const digits = ascendingDigits(type, text);
  return descending ? complement(digits) : digits;
}

function ascendingDigits(type: SortType, text: string): string {
  switch (type.kind) {
    case 'text':
      return `${hexOf(text)}00`;
    case 'uuid':
      return text.replaceAll('-', '');
    case 'boolean':
      return text === 'true' ? '1' : '0';
    case 'float':
      return floatDigits(text);
    case 'integer':
    case 'numeric':
    case 'time':
      return text === 'NaN' ? '2' : integerDigits(BigInt(text));
  }
}

/**
 * Its sign (0 or 1), one less than the number of its hexadecimal digits, and the digits. A negative number n has the
 * count and the digits of -1 - n, complemented; -1 - n fits 64 bits even for the least number. So numbers of different
 * sizes differ early.
 */
function integerDigits(value: bigint): string {
  const hex = (value < 0n ? -1n - value : value).toString(16);
  const body = `${(hex.length - 1).toString(16)}${hex}`;
  return value < 0n ? `0${complement(body)}` : `1${body}`;
}

/**
 * The digits with which the least or the greatest value of the column begins. No position lies beyond them, and the
 * cover of a range that ends there needs fewer prefixes.
 */
export function endDigits(column: SortColumn, end: 'first' | 'last'): string {
  const isLeast = (end === 'first') !== column.descending;
  const digits = isLeast ? leastDigits(column.type) : greatestDigits(column.type);
  return column.descending ? complement(digits) : digits;
}

function leastDigits(type: SortType): string {
  const bound = integerBound(type);
  return bound === undefined ? '' : integerDigits(-bound).slice(0, 2);
}

function greatestDigits(type: SortType): string {
  if (type.kind === 'numeric') return '2';
  const bound = integerBound(type);
  return bound === undefined ? '' : integerDigits(bound - 1n).slice(0, 2);
}

function integerBound(type: SortType): bigint | undefined {
  if (type.kind === 'integer') return 2n ** BigInt(type.bits - 1);
  if (type.kind === 'numeric') return 10n ** BigInt(type.precision);
  if (type.kind === 'time') return 2n ** (type.type === 'date' ? 31n : 63n);
  return undefined;
}

/** The value of an exact text as a parameter of the column's type. */
export function sortParameter({ type }: SortColumn, text: string): SQL {
  switch (type.kind) {
    case 'text':
      return sql`${text}::text`;
    case 'uuid':
      return sql`${text}::uuid`;
    case 'boolean':
      return sql`${text}::boolean`;
    case 'integer':
      return sql`${text}::${sql.raw({ 16: 'smallint', 32: 'integer', 64: 'bigint' }[type.bits])}`;
    case 'numeric':
      return sql`${text === 'NaN' ? text : `${text}e-${type.scale}`}::numeric`;
    case 'float':
      return sql`${String(floatOf(text))}::${sql.raw(type.bytes === 4 ? 'real' : 'double precision')}`;
    case 'time': {
      const cast = type.isZoned ? 'timestamptz' : type.type;
      return sql`${timeToText(type.type, BigInt(text))}::${sql.raw(cast)}`;
    }
  }
}

/** The exact text of a value in the database; `value` is an expression of the column's type. */
export function exactTextSql({ type }: SortColumn, value: SQL): SQL {
  switch (type.kind) {
    case 'float':
      return sql`encode(${sql.raw(`float${type.bytes}send`)}(${value}), 'hex')`;
    case 'numeric':
      return sql`case when ${value} = 'NaN'::numeric then 'NaN' else ${integerSql(type, value)}::text end`;
    case 'time':
      return sql`${integerSql(type, value)}::text`;
    default:
      return sql`${value}::text`;
  }
}

/** The integer of an exact text, as a `bigint` of SQL; null for `NaN`. It does not depend on session settings. */
export function integerSql(type: SortType & { kind: 'integer' | 'numeric' | 'time' }, value: SQL): SQL {
  switch (type.kind) {
    case 'integer':
      return sql`${value}::bigint`;
    case 'numeric': {
      const scale = sql.raw(String(10n ** BigInt(type.scale)));
      return sql`(nullif(${value}::numeric, 'NaN'::numeric) * ${scale})::bigint`;
    }
    case 'time': {
      const send = sql.raw(type.isZoned ? 'timestamptz_send' : `${type.type}_send`);
      const integer = sql.raw(type.type === 'date' ? 'bit(32)::integer::bigint' : 'bit(64)::bigint');
      return sql`('x' || encode(${send}(${value}), 'hex'))::${integer}`;
    }
  }
}

function scaledText(scale: number, value: unknown): string | undefined {
  if (typeof value === 'bigint') return String(value * 10n ** BigInt(scale));
  if (typeof value === 'number') return Number.isNaN(value) ? 'NaN' : scaledNumber(scale, value);
  if (typeof value !== 'string') return undefined;
  if (value === 'NaN') return value;
  const [, sign = '', whole = '', fraction = ''] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(value) ?? [];
  const [kept, rest] = [fraction.slice(0, scale), fraction.slice(scale)];
  if (whole === '' || /[1-9]/.test(rest)) return undefined;
  const scaled = BigInt(whole + kept.padEnd(scale, '0'));
  return String(sign === '-' ? -scaled : scaled);
}

/** Undefined for a number that the column cannot hold exactly, because it would get the position of another number. */
function scaledNumber(scale: number, value: number): string | undefined {
  const scaled = Math.round(value * 10 ** scale);
  return Number.isSafeInteger(scaled) && scaled / 10 ** scale === value ? String(BigInt(scaled)) : undefined;
}

function floatBits(bytes: 4 | 8, value: number): string {
  const view = new DataView(new ArrayBuffer(bytes));
  if (bytes === 4) view.setFloat32(0, value);
  else view.setFloat64(0, value);
  return Array.from(new Uint8Array(view.buffer), byteHex).join('');
}

function floatOf(bits: string): number {
  const view = new DataView(new ArrayBuffer(bits.length / 2));
  for (let at = 0; at < view.byteLength; at += 1)
    view.setUint8(at, Number.parseInt(bits.slice(2 * at, 2 * at + 2), 16));
  return view.byteLength === 4 ? view.getFloat32(0) : view.getFloat64(0);
}

/**
 * Sorts positive numbers above negative ones, whose bits are complemented because greater bits mean a lesser number.
 */
function floatDigits(bits: string): string {
  const value = floatOf(bits);
  if (Number.isNaN(value)) return 'f'.repeat(bits.length);
  if (value === 0) return '8'.padEnd(bits.length, '0');
  if (value < 0) return complement(bits);
  return (Number.parseInt(bits.slice(0, 1), 16) + 8).toString(16) + bits.slice(1);
}

const encoder = new TextEncoder();

function hexOf(text: string): string {
  return Array.from(encoder.encode(text), byteHex).join('');
}

function byteHex(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}

export function complement(digits: string): string {
  return Array.from(digits, (digit) => (15 - Number.parseInt(digit, 16)).toString(16)).join('');
}

function absolute(value: bigint): bigint {
  return value < 0n ? -value : value;
}

function describe(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}
