import { type SQL, sql } from 'drizzle-orm';
import type { ListRange } from './list-types.ts';
import { exactText, type SortColumn, sortParameter } from './sort-column.ts';

/** The conditions and the order of a list as SQL. */

/** A column as a list sorts and compares it. Texts are compared by their bytes. */
function comparable({ column, type }: SortColumn): SQL {
  return type.kind === 'text' ? sql`${column} collate "C"` : sql`${column}`;
}

export function orderOf(orderBy: readonly SortColumn[]): SQL[] {
  return orderBy.map((column) => (column.descending ? sql`${comparable(column)} desc` : comparable(column)));
}

/** Matches rows that have the value. An enumeration takes its text as an untyped parameter. */
export function equals(column: SortColumn, value: unknown): SQL {
  const text = exactText(column, value);
  return column.type.kind === 'text'
    ? sql`${column.column} = ${text}`
    : sql`${column.column} = ${sortParameter(column, text)}`;
}

const OPERATORS = { gte: '>=', gt: '>', lte: '<=', lt: '<' } as const;

export function within(column: SortColumn, range: ListRange): SQL[] {
  return boundsOf(range).map(({ bound, value }) => {
    const parameter = sortParameter(column, exactText(column, value));
    return sql`${comparable(column)} ${sql.raw(OPERATORS[bound])} ${parameter}`;
  });
}

/** The conditions for the bounds that are given. */
export function boundsOf(
  range: ListRange,
): { readonly bound: keyof typeof OPERATORS; readonly value: unknown }[] {
  return (['gte', 'gt', 'lte', 'lt'] as const).flatMap((bound) => {
    const value = range[bound];
    return value === undefined ? [] : [{ bound, value }];
  });
}

/**
 * Matches the rows after a position. If all columns have one direction, it is a single row comparison, which an index
 * serves best.
 */
export function behind(orderBy: readonly SortColumn[], texts: readonly string[]): SQL {
  const terms = orderBy.map((column, at) => ({
    column: comparable(column),
    value: sortParameter(column, texts[at] ?? ''),
    operator: sql.raw(column.descending ? '<' : '>'),
  }));
  const [first] = terms;
  if (first === undefined) throw new RangeError('A list must be ordered by at least one column.');
  if (orderBy.every(({ descending }) => descending === orderBy[0]?.descending))
    return sql`(${joined(terms.map(({ column }) => column))}) ${first.operator} (${joined(
      terms.map(({ value }) => value),
    )})`;
  const nested = terms.reduceRight<SQL | undefined>((rest, { column, value, operator }) => {
    const beyond = sql`${column} ${operator} ${value}`;
    return rest === undefined ? beyond : sql`(${beyond} or (${column} = ${value} and ${rest}))`;
  }, undefined);
  // The rest implies this condition; it lets Postgres search an index on the first column.
  return sql`(${first.column} ${first.operator}= ${first.value} and ${nested})`;
}

function joined(parts: readonly SQL[]): SQL {
  return sql.join([...parts], sql`, `);
}
