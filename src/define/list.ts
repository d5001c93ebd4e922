import { getTableColumns, type SQL, sql } from 'drizzle-orm';
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core';
import type { KeyDefinition, KeyInput } from './key.ts';
import { coverOf, prefixesOf } from './prefix-cover.ts';
import { type Tag, tag } from './tag.ts';

/** Hexadecimal digits by which positions are told apart: six bytes of a text, or a number and bytes of the key. */
const DIGITS = 12;
/** A row invalidates one tag more than a list has digits. */
const DIGITS_MAX = 48;
/** Decimal digits that a JavaScript number holds without loss. */
const PRECISION_MAX = 15;
/** Conditions of equality that one list may have: each combination of values is a list of its own. */
const FILTERS_MAX = 2;

/** An order of an entity's rows that is read page by page. */
export interface ListDeclaration {
  /** The column that rows are ordered by; rows that are equal in it follow the entity's key. */
  readonly orderBy: PgColumn;
  /** Columns that a reader of the list gives one value each for. */
  readonly filter?: readonly PgColumn[];
  /** How finely positions are told apart, in hexadecimal digits; for keys that begin alike, give more. */
  readonly digits?: number;
}

/** A row, or as much of it as the list needs: property names are those of the drizzle table. */
export type ListRow = Readonly<Record<string, unknown>>;

export interface ListColumn {
  readonly property: string;
  readonly column: PgColumn;
}

/** How a column's value becomes a part of a position that sorts as the column does. */
export type Encoding =
  /** UTF-8 and a zero byte, which no text of Postgres contains: the order of `collate "C"`. */
  | { readonly kind: 'text' }
  /**
   * `value * 10^scale`, an integer of at most `most`, as its sign (0 or 1), the number of its hexadecimal digits and
   * the digits; those of a negative number count down. So numbers of all sizes differ early.
   */
  | { readonly kind: 'number'; readonly scale: number; readonly most: number };

export type SortColumn = ListColumn & { readonly encoding: Encoding };

/** One page of a list, as a view has read it. */
export interface ListPage {
  /** The value of each filter column. */
  readonly filter?: ListRow;
  /** The row that the page begins after; absent for the first page. */
  readonly after?: ListRow | undefined;
  /** Its rows, in order. */
  readonly rows: readonly ListRow[];
  /** Whether it has as many rows as it may: what comes after its last row does not change it then. */
  readonly full: boolean;
}

export interface ListDefinition {
  /** The entity's name and its own, e.g. `product/by-unit-price`: what its tags begin with. */
  readonly name: string;
  /** What it is ordered by: the declared column and the key, or the key alone. */
  readonly orderBy: readonly SortColumn[];
  readonly filter: readonly ListColumn[];
  /** The length of a position. */
  readonly digits: number;
  /** For `orderBy` of a query: texts by their bytes, whatever the collation of the database. */
  readonly order: readonly SQL[];
  /** For `where` of a query: the rows after this one. */
  after(row: ListRow): SQL;
  /** What a page depends on: the rows that could enter its range of the list, and each row that it shows. */
  page(page: ListPage): Tag[];
  /** What an answer about the whole list depends on, such as the number of its rows. */
  whole(filter?: ListRow): Tag;
  /** What a row invalidates by coming to its place in the list. */
  entering(row: ListRow): Tag[];
  /** What a row invalidates by leaving its place, beside its own tag, which every page that shows it names. */
  leaving(row: ListRow): Tag[];
}

/**
 * A list of an entity's rows. `storage/postgres/list-tags.ts` has the same tags as SQL expressions, so that a
 * statement can tell what its own rows invalidate.
 *
 * @throws Error at load, for columns whose order or equality the database and this module may see differently.
 */
export function list(
  name: string,
  of: { table: PgTable; key: KeyDefinition; row: (key: KeyInput) => Tag },
  declaration: ListDeclaration,
): ListDefinition {
  const { orderBy: column, filter: filterColumns = [] } = declaration;
  const named = (wanted: PgColumn) => propertyOf(of.table, wanted, name);
  const [keyColumn] = of.key.columns;
  if (keyColumn === undefined || of.key.columns.length > 1 || keyColumn.kind !== 'text')
    throw new Error(`The list "${name}" needs an entity with a text key.`);
  const key: SortColumn = { ...named(keyColumn.column), encoding: encodingOf(keyColumn.column, name) };
  const first: SortColumn = { ...named(column), encoding: encodingOf(column, name) };
  const orderBy = column === keyColumn.column ? [key] : [first, key];
  const filter = filterColumns.map((wanted) => named(comparable(wanted, name)));
  if (filter.length > FILTERS_MAX)
    throw new Error(`The list "${name}" has more than ${FILTERS_MAX} filters.`);
  const digits = declaration.digits ?? DIGITS;
  if (!Number.isInteger(digits) || digits < 1 || digits > DIGITS_MAX)
    throw new Error(`The list "${name}" has ${digits} digits; 1 to ${DIGITS_MAX} are possible.`);

  const placeTag = (of: ListRow, prefix: string) => tag(`${name}${filterText(filter, of, name)}^${prefix}`);
  const expressions = orderBy.map(orderExpression);
  return {
    name,
    orderBy,
    filter,
    digits,
    order: expressions,
    after: (row) =>
      sql`(${sql.join(expressions, sql`, `)}) > (${sql.join(
        orderBy.map(({ property }) => sql`${row[property]}`),
        sql`, `,
      )})`,
    page: ({ filter: values = {}, after, rows, full }) => {
      const last = full ? rows.at(-1) : undefined;
      const low = after === undefined ? endOf(first, 'first', digits) : positionOf(orderBy, after, digits);
      const high = last === undefined ? endOf(first, 'last', digits) : positionOf(orderBy, last, digits);
      const range = coverOf(low, high).map((prefix) => placeTag(values, prefix));
      return [...range, ...rows.map((row) => of.row(textOf(row, key)))];
    },
    whole: (values = {}) => placeTag(values, ''),
    entering: (row) =>
      isListed(filter, row)
        ? prefixesOf(positionOf(orderBy, row, digits)).map((prefix) => placeTag(row, prefix))
        : [],
    leaving: (row) => (isListed(filter, row) ? [placeTag(row, '')] : []),
  };
}

/** A row without a value for a filter is in none of the lists. */
function isListed(filter: readonly ListColumn[], row: ListRow): boolean {
  return filter.every(({ property }) => row[property] !== null);
}

function orderExpression({ column, encoding }: SortColumn): SQL {
  return encoding.kind === 'text' ? sql`${column} collate "C"` : sql`${column}`;
}

/** A row's place in the order. Rows that differ in it are in its order; those that it is too short for share one. */
function positionOf(orderBy: readonly SortColumn[], row: ListRow, digits: number): string {
  const whole = orderBy.map((column) =>
    column.encoding.kind === 'text'
      ? `${hexOf(textOf(row, column))}00`
      : numberText(scaledOf(row, column, column.encoding)),
  );
  return fitted(whole.join(''), digits, '0');
}

/** The first and the last position that the list has. */
function endOf({ encoding }: SortColumn, end: 'first' | 'last', digits: number): string {
  const isNumber = encoding.kind === 'number';
  return end === 'first'
    ? fitted(isNumber ? numberText(-encoding.most) : '', digits, '0')
    : fitted(isNumber ? numberText(encoding.most) : '', digits, 'f');
}

function fitted(position: string, digits: number, fill: '0' | 'f'): string {
  return position.slice(0, digits).padEnd(digits, fill);
}

const encoder = new TextEncoder();

function hexOf(text: string): string {
  return Array.from(encoder.encode(text), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function textOf(row: ListRow, { property }: ListColumn): string {
  const value = row[property];
  if (typeof value !== 'string' || !value.isWellFormed() || value.includes('\u0000'))
    throw new TypeError(`A list needs "${property}" as a text that Postgres can hold.`);
  return value;
}

/** @throws RangeError for a number that the column cannot hold exactly: it would have the place of another one. */
function scaledOf(row: ListRow, { property }: ListColumn, encoding: Encoding & { kind: 'number' }): number {
  const value = row[property];
  if (typeof value !== 'number') throw new TypeError(`A list needs "${property}" as a number.`);
  const scaled = Math.round(value * 10 ** encoding.scale);
  if (scaled / 10 ** encoding.scale !== value || Math.abs(scaled) > encoding.most)
    throw new RangeError(`${value} is no value of "${property}".`);
  return scaled;
}

function numberText(scaled: number): string {
  const hex = Math.abs(scaled).toString(16);
  const body = `${hex.length.toString(16)}${hex}`;
  return scaled < 0
    ? `0${Array.from(body, (digit) => (15 - Number.parseInt(digit, 16)).toString(16)).join('')}`
    : `1${body}`;
}

/** How a column sorts. Its type bounds its values, so no row can fall outside. */
function encodingOf(column: PgColumn, list: string): Encoding {
  const type = column.getSQLType();
  if (!column.notNull && !column.primary)
    throw new Error(`The list "${list}" is ordered by "${column.name}", which may be null.`);
  if (isText(type)) return { kind: 'text' };
  if (type === 'integer' || type === 'smallint') return { kind: 'number', scale: 0, most: 2 ** 31 };
  const [, precision = '', scale = '0'] = /^numeric\((\d+)(?:, ?(\d+))?\)$/.exec(type) ?? [];
  if (precision !== '' && Number(precision) <= PRECISION_MAX && column.dataType === 'number')
    return { kind: 'number', scale: Number(scale), most: 10 ** Number(precision) - 1 };
  throw new Error(
    `The list "${list}" cannot be ordered by "${column.name}": it needs text, integer, or numeric of at most ${PRECISION_MAX} digits in the mode "number".`,
  );
}

/** A filter's values stand in tags as text, so their text has to be the same here and in the database. */
function comparable(column: PgColumn, list: string): PgColumn {
  const type = column.getSQLType();
  if (isText(type) || ['integer', 'smallint', 'boolean'].includes(type)) return column;
  throw new Error(`The list "${list}" cannot be filtered by "${column.name}", which is ${type}.`);
}

function isText(type: string): boolean {
  return type === 'text' || type.startsWith('varchar');
}

function filterText(filter: readonly ListColumn[], row: ListRow, list: string): string {
  if (filter.length === 0) return '';
  const values = filter.map(({ property }) => {
    const value = row[property];
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value;
    throw new TypeError(`The list "${list}" needs a value for "${property}".`);
  });
  return `[${values.join(',')}]`;
}

function propertyOf(table: PgTable, column: PgColumn, list: string): ListColumn {
  const found = Object.entries(getTableColumns(table)).find(([, candidate]) => candidate === column);
  if (found === undefined) throw new Error(`The list "${list}" names a column of another table.`);
  return { property: found[0], column };
}

/** The tag of the whole list that a place's tag belongs to; none for a tag that is no place's. */
export function wholeListOf(tag: string): string[] {
  const [, whole] = WHOLE_LIST.exec(tag) ?? [];
  return whole === undefined ? [] : [whole];
}

/** Up to the last caret: what follows is a prefix of a position. Tags of rows and histories have a colon first. */
const WHOLE_LIST = /^([^:]+\/.*\^)[0-9a-f]*$/s;
