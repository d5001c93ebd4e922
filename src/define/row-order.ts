import type { SQL } from 'drizzle-orm';
import { PgColumn, type PgTable } from 'drizzle-orm/pg-core';
import type * as z from 'zod';
import { cursorSchema, cursorSql, decodeCursor } from './list-cursor.ts';
import { behind, orderOf } from './list-query.ts';
import type { OrderColumn } from './list-types.ts';
import { sortColumn } from './sort-column.ts';

/** An order of a table's rows that is read page by page. */
export interface RowOrder {
  /** For `orderBy` of a query. */
  readonly order: SQL[];
  /** Parses a view's query parameter, in which a reader sends the cursor of the last row of the previous page. */
  readonly cursor: z.ZodType<string, string>;
  /** The cursor of each row, for `select` of a query. It has the full precision of the columns. */
  readonly cursorColumn: SQL<string>;
  /** For `where` of a query: the rows after this one. @throws TypeError for a text that `cursor` refuses. */
  after(cursor: string): SQL;
}

/**
 * The order of a history's rows, or of any table's, for views that read pages of one owner's part. Unlike a list of an
 * entity it has no tags of its own: such a view depends on the tag of the owner's part.
 *
 * @param columns that are not null, and that no two rows have the same values of: end with the primary key.
 * @throws Error for a column of another table, one that may be null, or one whose order is not known exactly.
 */
export function rowOrder(table: PgTable, ...columns: readonly OrderColumn[]): RowOrder {
  const orderBy = columns.map((ordered) => {
    const { column, descending } =
      ordered instanceof PgColumn ? { column: ordered, descending: false } : ordered;
    return sortColumn('The row order', table, column, descending);
  });
  return {
    order: orderOf(orderBy),
    cursor: cursorSchema(orderBy),
    cursorColumn: cursorSql(orderBy),
    after: (cursor) => {
      const texts = decodeCursor(orderBy, cursor);
      if (texts === undefined)
        throw new TypeError('The text is not a cursor of this order: parse it with `cursor`.');
      return behind(orderBy, texts);
    },
  };
}
