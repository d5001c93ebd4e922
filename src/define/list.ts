import { and, type SQL } from 'drizzle-orm';
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import { PgColumn, type PgTable } from 'drizzle-orm/pg-core';
import type { KeyDefinition, KeyInput } from './key.ts';
import { cursorSchema, cursorSql, decodeCursor, encodeCursor } from './list-cursor.ts';
import { FILTERS_MAX, filterText, filterTypeOf } from './list-filter.ts';
import { behind, boundsOf, equals, orderOf, within } from './list-query.ts';
import type {
  ListAnswer,
  ListDeclaration,
  ListDefinition,
  ListPage,
  ListQuery,
  ListRange,
  ListRow,
  OrderColumn,
  PageRequest,
} from './list-types.ts';
import { DeclarationMistake } from './mistake.ts';
import { coverOf, prefixesOf } from './prefix-cover.ts';
import {
  endDigits,
  exactText,
  propertyOf,
  type SortColumn,
  sortColumn,
  sortDigits,
  sortTypeOf,
} from './sort-column.ts';
import { type Tag, tag } from './tag.ts';

/** Default precision of positions in hexadecimal digits: six bytes of a text, or a number and bytes of the key. */
const DIGITS = 12;
/** The most digits of a position: a row invalidates one tag more than the list has digits. */
const DIGITS_MAX = 48;
/** The most columns in a list's order, in addition to those of the key. */
const ORDER_COLUMNS_MAX = 4;
/** The most rows of one page. An answer has at most 256 tags: one for each row, and up to 32 for the page's range. */
export const PAGE_ROWS_MAX = 200;

/** Orders by a column from its greatest value to its least. */
export function descending<Column extends PgColumn>(
  column: Column,
): { readonly column: Column; readonly descending: true } {
  return { column, descending: true };
}

/** The owner of a list. */
interface ListOwner {
  readonly table: PgTable;
  readonly key: KeyDefinition;
  readonly row: (key: KeyInput) => Tag;
}

/**
 * A list of an entity's rows. `storage/postgres/list-tags.ts` computes the same tags as SQL expressions, for statements
 * whose rows only the database knows.
 *
 * @throws Error at load, for columns whose order or equality could differ between the database and this module.
 */
export function list(name: string, of: ListOwner, declaration: ListDeclaration): ListDefinition {
  const orderBy = orderColumns(name, of, declaration);
  const filter = filterColumns(name, of, declaration);
  const range = declaration.range === undefined ? undefined : rangeColumn(name, of, declaration.range);
  const digits = declaration.digits ?? DIGITS;
  if (!Number.isInteger(digits) || digits < 1 || digits > DIGITS_MAX)
    throw new DeclarationMistake(`The list "${name}" has ${digits} digits.`, `Give it 1 to ${DIGITS_MAX}.`);

  const order = orderOf(orderBy);
  const cursorColumn = cursorSql(orderBy);
  const placeTag = (row: ListRow, prefix: string) => tag(`${name}${filterText(filter, row)}^${prefix}`);
  const textsOf = (place: string | ListRow) => placeOf(name, orderBy, place);
  const after = (place: string | ListRow) => behind(orderBy, textsOf(place));
  const whole = (values: ListRow = {}) => placeTag(values, '');
  const where = ({ filter: values = {}, range: bounds, after: place }: ListQuery): SQL | undefined =>
    and(
      ...filter.map((column) => equals(column, values[column.property])),
      ...(bounds === undefined ? [] : within(bounded(name, range, bounds), bounds)),
      place === undefined ? undefined : after(place),
    );
  const keyTag = (texts: readonly string[]) => of.row(keyOfPlace(of.key, orderBy, texts));
  const page = ({ filter: values = {}, range: bounds, after: place, rows = [], cursors, full }: ListPage) => {
    const shown = (cursors ?? rows).map(textsOf);
    const last = full ? shown.at(-1) : undefined;
    const [low, high] = sectionOf(orderBy, digits, {
      after: place === undefined ? undefined : textsOf(place),
      last,
      range: bounds === undefined ? undefined : { column: bounded(name, range, bounds), bounds },
    });
    // No row can be in a range whose bounds exclude each other.
    const cover = low > high && shown.length === 0 ? [''] : coverOf(low, high);
    return [...cover.map((prefix) => placeTag(values, prefix)), ...shown.map(keyTag)];
  };
  return {
    name,
    orderBy,
    filter,
    range,
    digits,
    order,
    cursor: cursorSchema(orderBy),
    cursorColumn,
    cursorOf: (row) => encodeCursor(textsOf(row)),
    after,
    where,
    read: (db, request) => readPage(db, of.table, { where, order, cursorColumn, page }, request),
    page,
    whole,
    entering: (row) =>
      isListed(filter, row)
        ? prefixesOf(positionOf(orderBy, textsOf(row), digits)).map((prefix) => placeTag(row, prefix))
        : [],
    leaving: (row) => (isListed(filter, row) ? [whole(row)] : []),
  };
}

/** @throws RangeError for a page of no rows, or of more rows than its tags could cover. */
async function readPage(
  db: NeonHttpDatabase,
  table: PgTable,
  list: Pick<ListDefinition, 'where' | 'order' | 'cursorColumn' | 'page'>,
  { select, limit, ...query }: ListQuery & PageRequest,
): Promise<ListAnswer> {
  if (!Number.isInteger(limit) || limit < 1 || limit > PAGE_ROWS_MAX)
    throw new RangeError(`A page of a list has 1 to ${PAGE_ROWS_MAX} rows, not ${limit}.`);
  const found = await db
    .select({ row: { ...select }, cursor: list.cursorColumn })
    .from(table)
    .where(list.where(query))
    .orderBy(...list.order)
    .limit(limit);
  const rows: ListRow[] = found.map(({ row }) => row);
  const cursors = found.map(({ cursor }) => cursor);
  const full = rows.length === limit;
  return {
    rows,
    next: full ? (cursors.at(-1) ?? null) : null,
    tags: list.page({ ...query, cursors, full }),
  };
}

function orderColumns(name: string, { table, key }: ListOwner, { orderBy }: ListDeclaration): SortColumn[] {
  const declared: readonly OrderColumn[] = isSeveral(orderBy) ? orderBy : [orderBy];
  if (declared.length === 0 || declared.length > ORDER_COLUMNS_MAX)
    throw new DeclarationMistake(
      `The list "${name}" is ordered by ${declared.length} columns.`,
      `Order it by 1 to ${ORDER_COLUMNS_MAX}.`,
    );
  const own = declared.map((order) =>
    order instanceof PgColumn
      ? sortColumn(`The list "${name}"`, table, order, false)
      : sortColumn(`The list "${name}"`, table, order.column, order.descending),
  );
  const repeated = own.find(({ column }, at) => own.findIndex((other) => other.column === column) !== at);
  if (repeated !== undefined)
    throw new DeclarationMistake(
      `The list "${name}" is ordered by "${repeated.column.name}" twice.`,
      'Name it once.',
    );
  const direction = own.at(-1)?.descending ?? false;
  const rest = key.columns.filter((part) => !own.some(({ column }) => column === part.column));
  return [...own, ...rest.map(({ column }) => sortColumn(`The list "${name}"`, table, column, direction))];
}

function isSeveral(order: ListDeclaration['orderBy']): order is readonly OrderColumn[] {
  return Array.isArray(order);
}

function filterColumns(name: string, { table }: ListOwner, { filter = [] }: ListDeclaration): SortColumn[] {
  if (filter.length > FILTERS_MAX)
    throw new DeclarationMistake(
      `The list "${name}" has ${filter.length} filters.`,
      `Leave all but ${FILTERS_MAX} out.`,
    );
  return filter.map((column) => {
    const type = filterTypeOf(column);
    if (type === undefined)
      throw new DeclarationMistake(
        `The list "${name}" cannot be filtered by "${column.name}", which is ${column.getSQLType()}.`,
        'Use text, varchar, an integer, uuid, boolean, an enumeration or date.',
      );
    return { property: propertyOf(`The list "${name}"`, table, column), column, type, descending: false };
  });
}

function rangeColumn(name: string, { table }: ListOwner, column: PgColumn): SortColumn {
  const type = sortTypeOf(column);
  if (type === undefined)
    throw new DeclarationMistake(
      `The list "${name}" has a range of "${column.name}", which is ${column.getSQLType()}.`,
      'Use a number, a timestamp or a date.',
    );
  return { property: propertyOf(`The list "${name}"`, table, column), column, type, descending: false };
}

function bounded(name: string, range: SortColumn | undefined, bounds: ListRange): SortColumn {
  if (range !== undefined) return range;
  throw new TypeError(
    `The list "${name}" declares no range, but is read with ${Object.keys(bounds).join(', ')}.`,
  );
}

/** A row without a value for a filter is in none of the lists. */
function isListed(filter: readonly SortColumn[], row: ListRow): boolean {
  return filter.every(({ property }) => row[property] !== null);
}

/** The exact texts of a position. */
function placeOf(name: string, orderBy: readonly SortColumn[], place: string | ListRow): readonly string[] {
  if (typeof place !== 'string') return orderBy.map((column) => rowText(column, place));
  const texts = decodeCursor(orderBy, place);
  if (texts === undefined)
    throw new TypeError(
      `"${place.slice(0, 100)}" is not a cursor of the list "${name}": parse it with its \`cursor\`.`,
    );
  return texts;
}

/**
 * @throws TypeError for a column whose values drizzle rounds: rows within one millisecond would have the same position.
 */
function rowText(column: SortColumn, row: ListRow): string {
  const value = row[column.property];
  if (column.type.kind === 'time' && column.type.isDate)
    throw new TypeError(
      `A Date does not have all that "${column.property}" has in the database: read the list by \`read\`, select its \`cursorColumn\`, or give the column the mode "string".`,
    );
  return exactText(column, value);
}

/**
 * A row's position in the order. Different positions sort as their rows do. Rows that differ only beyond the precision
 * share a position.
 */
function positionOf(orderBy: readonly SortColumn[], texts: readonly string[], digits: number): string {
  return fitted(orderBy.map((column, at) => sortDigits(column, texts[at] ?? '')).join(''), digits, '0');
}

function fitted(position: string, digits: number, fill: '0' | 'f'): string {
  return position.slice(0, digits).padEnd(digits, fill);
}

interface Section {
  readonly after: readonly string[] | undefined;
  readonly last: readonly string[] | undefined;
  readonly range: { readonly column: SortColumn; readonly bounds: ListRange } | undefined;
}

/** The first and the last position that a row of the page could have. */
function sectionOf(
  orderBy: readonly SortColumn[],
  digits: number,
  { after, last, range }: Section,
): readonly [low: string, high: string] {
  const [first] = orderBy;
  if (first === undefined) throw new RangeError('A list must be ordered by at least one column.');
  const lows = [fitted(endDigits(first, 'first'), digits, '0')];
  const highs = [fitted(endDigits(first, 'last'), digits, 'f')];
  if (after !== undefined) lows.push(positionOf(orderBy, after, digits));
  if (last !== undefined) highs.push(positionOf(orderBy, last, digits));
  // Bounds of a column other than the first do not restrict positions.
  if (range !== undefined && range.column.column === first.column) {
    for (const { bound, value } of boundsOf(range.bounds)) {
      const bounding = sortDigits(first, exactText(range.column, value));
      const isLow = bound.startsWith('g') !== first.descending;
      if (isLow) lows.push(fitted(bounding, digits, '0'));
      else highs.push(fitted(bounding, digits, 'f'));
    }
  }
  // Positions are texts, which sort by their code units.
  return [lows.sort().at(-1) ?? '', highs.sort()[0] ?? ''];
}

/** The key among the texts of a position. */
function keyOfPlace(key: KeyDefinition, orderBy: readonly SortColumn[], texts: readonly string[]): KeyInput {
  return Object.fromEntries(
    key.columns.map((part) => [
      part.property,
      texts[orderBy.findIndex(({ column }) => column === part.column)] ?? '',
    ]),
  );
}

/** The tag of the whole list to which a position's tag belongs; empty for other tags. */
export function wholeListOf(tag: string): string[] {
  const [, whole] = WHOLE_LIST.exec(tag) ?? [];
  return whole === undefined ? [] : [whole];
}

/** Matches up to the last caret; a prefix of a position follows. In tags of rows and histories a colon comes first. */
const WHOLE_LIST = /^([^:]+\/.*\^)[0-9a-f]*$/s;
