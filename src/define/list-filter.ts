import { is, type SQL, sql } from 'drizzle-orm';
import { type PgColumn, PgEnumColumn } from 'drizzle-orm/pg-core';
import type { ListRow } from './list-types.ts';
import { exactText, exactTextSql, type SortColumn, type SortType, sortTypeOf } from './sort-column.ts';

/**
 * The text of a list's filter values in its tags: `[Spain,3]`. Two lists have different texts, unless their values
 * share the first hundred characters.
 */

/** The most equality conditions of one list: each combination of values is a separate list. */
export const FILTERS_MAX = 4;
/**
 * The most characters of one value in a tag, so that four of them, a name and a position fit the limit of a tag. Longer
 * values share tags, so a change of one list invalidates the other one, too.
 */
const VALUE_CHARACTERS_MAX = 100;

const ESCAPES = [
  ['%', '%25'],
  [',', '%2C'],
  [']', '%5D'],
] as const;

/** How the column's values are written, or undefined if equal values could have different texts. */
export function filterTypeOf(column: PgColumn): SortType | undefined {
  if (is(column, PgEnumColumn)) return { kind: 'text' };
  const type = sortTypeOf(column);
  const isExact =
    type !== undefined &&
    (['text', 'integer', 'uuid', 'boolean'].includes(type.kind) ||
      (type.kind === 'time' && type.type === 'date'));
  return isExact ? type : undefined;
}

/** @throws TypeError if a value is missing or does not fit its column. */
export function filterText(filter: readonly SortColumn[], row: ListRow): string {
  if (filter.length === 0) return '';
  const values = filter.map((column) => {
    const text = ESCAPES.reduce(
      (escaped, [character, replacement]) => escaped.replaceAll(character, replacement),
      exactText(column, row[column.property]),
    );
    return text.length <= VALUE_CHARACTERS_MAX
      ? text
      : Array.from(text).slice(0, VALUE_CHARACTERS_MAX).join('');
  });
  return `[${values.join(',')}]`;
}

/** The same text for a row in the database; `field` returns the expression of a column. */
export function filterTextSql(filter: readonly SortColumn[], field: (column: SortColumn) => SQL): SQL {
  const values = filter.map((column) => {
    const text = exactTextSql(column, field(column));
    if (column.type.kind !== 'text') return text;
    const escaped = ESCAPES.reduce(
      (escaped, [character, replacement]) =>
        sql`replace(${escaped}, ${literal(character)}, ${literal(replacement)})`,
      text,
    );
    return sql`left(${escaped}, ${sql.raw(String(VALUE_CHARACTERS_MAX))})`;
  });
  return sql`('[' || ${sql.join(values, sql` || ',' || `)} || ']')`;
}

function literal(text: string): SQL {
  return sql.raw(`'${text}'`);
}
