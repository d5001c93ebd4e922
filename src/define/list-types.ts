import type { GetColumnData, SQL } from 'drizzle-orm';
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core';
import type * as z from 'zod';
import type { SortColumn } from './sort-column.ts';
import type { Tag } from './tag.ts';

/** A column of an order. A bare column ascends. */
export type OrderColumn = PgColumn | { readonly column: PgColumn; readonly descending: boolean };

/** An order of an entity's rows that is read page by page. */
export interface ListDeclaration {
  /**
   * One to four columns that are not null, each ascending or wrapped in `descending(…)`. The columns of the entity's
   * key follow, in the direction of the last column, so that no two rows have the same position.
   */
  readonly orderBy: OrderColumn | readonly OrderColumn[];
  /** Up to four columns for which a reader of the list gives one value each. */
  readonly filter?: readonly PgColumn[];
  /**
   * A column that a reader may bound. If it is the first column of the order, invalidation distinguishes the pages of
   * bounded lists. With any other column, a page depends on all rows between its first and its last row.
   */
  readonly range?: PgColumn;
  /** The precision of positions in tags, in hexadecimal digits. Keys with a long common prefix need more digits. */
  readonly digits?: number;
}

/** A row, or the part of it that the list needs: property names are those of the drizzle table. */
export type ListRow = Readonly<Record<string, unknown>>;

/** Bounds of a list's `range` column. Texts are compared by their bytes. */
export interface ListRange<Value = unknown> {
  readonly gte?: Value | undefined;
  readonly gt?: Value | undefined;
  readonly lte?: Value | undefined;
  readonly lt?: Value | undefined;
}

/** Selects rows of a list. */
export interface ListQuery {
  /** The value of each filter column. */
  readonly filter?: ListRow | undefined;
  readonly range?: ListRange | undefined;
  /** The cursor or the row after which the page begins; absent for the first page. */
  readonly after?: string | ListRow | undefined;
}

/** One page of a list, as a query has read it. */
export interface ListPage extends ListQuery {
  /** The rows of the page, in order. If the order has a column in drizzle's mode "date", give `cursors` instead. */
  readonly rows?: readonly ListRow[];
  /** The cursor of each row instead, as the query selected it by `cursorColumn`. */
  readonly cursors?: readonly string[];
  /** Whether the page has the maximum number of rows. The rows after its last one then do not affect it. */
  readonly full: boolean;
}

export type Selection = Readonly<Record<string, PgColumn | SQL>>;
/** The values of a selection, as drizzle returns them. */
export type Selected<Columns extends Selection> = {
  [Property in keyof Columns]: Columns[Property] extends PgColumn
    ? GetColumnData<Columns[Property]>
    : Columns[Property] extends SQL<infer Value>
      ? Value
      : never;
};

/** A page as `read` returns it. */
export interface ListAnswer<Row = ListRow> {
  readonly rows: Row[];
  /** The cursor of the next page; null for the last page. */
  readonly next: string | null;
  /** The tags that the page depends on. */
  readonly tags: Tag[];
}

/** The columns to read of each row, and the most rows of a page. */
export interface PageRequest<Columns extends Selection = Selection> {
  readonly select: Columns;
  readonly limit: number;
}

export interface ListDefinition {
  /** The entity's name and the list's own, e.g. `station/by-bikes`: the prefix of its tags. */
  readonly name: string;
  /** The columns of the order: the declared columns, then those of the key. */
  readonly orderBy: readonly SortColumn[];
  readonly filter: readonly SortColumn[];
  readonly range: SortColumn | undefined;
  /** The length of a position. */
  readonly digits: number;
  /** For `orderBy` of a query. Texts are ordered by their bytes, independent of the database's collation. */
  readonly order: readonly SQL[];
  /** Parses a view's query parameter, in which a reader sends `next` of the previous page. */
  readonly cursor: z.ZodType<string, string>;
  /** The cursor of each row, for `select` of a query that does not use `read`. */
  readonly cursorColumn: SQL<string>;
  /** The cursor of a row. @throws TypeError if a value is missing, or a column has the mode "date". */
  cursorOf(row: ListRow): string;
  /** For `where` of a query: the rows after this one. */
  after(cursor: string | ListRow): SQL;
  /** For `where` of a query: all conditions of the reader; undefined for the beginning of a list without filters. */
  where(query: ListQuery): SQL | undefined;
  /** Reads a page in one statement and returns the tags that it depends on. */
  read(db: NeonHttpDatabase, query: ListQuery & PageRequest): Promise<ListAnswer>;
  /**
   * The tags that a page depends on: those of the rows that could enter its range of the list, and of each row that it
   * shows.
   */
  page(page: ListPage): Tag[];
  /** The tag of answers about the whole list, such as its number of rows. */
  whole(filter?: ListRow): Tag;
  /** The tags that a row invalidates when it enters its position in the list. */
  entering(row: ListRow): Tag[];
  /**
   * The tags that a row invalidates when it leaves its position. The row's own tag is not among them: every page that
   * shows the row depends on that tag already.
   */
  leaving(row: ListRow): Tag[];
}

type Columns<Table extends PgTable> = Table['_']['columns'];
/** The property of a column. */
export type PropertyOf<Table extends PgTable, Column> = {
  [Property in keyof Columns<Table>]: Columns<Table>[Property] extends Column
    ? Column extends Columns<Table>[Property]
      ? Property
      : never
    : never;
}[keyof Columns<Table>] &
  string;

type Row<Table extends PgTable> = Readonly<Partial<Table['$inferSelect']>>;
type Value<Table extends PgTable, Property> = Property extends keyof Table['$inferSelect']
  ? NonNullable<Table['$inferSelect'][Property]>
  : never;

type FilterValues<Table extends PgTable, Declared> = Declared extends {
  readonly filter: readonly (infer Column)[];
}
  ? { readonly [Property in PropertyOf<Table, Column>]: Value<Table, Property> }
  : ListRow;
/** For an unknown declaration each member is optional; for a known one, only the declared members exist. */
type Filter<Table extends PgTable, Declared> = Declared extends { readonly filter: readonly unknown[] }
  ? { readonly filter: FilterValues<Table, Declared> }
  : { readonly filter?: 'filter' extends keyof Declared ? ListRow | undefined : undefined };
type Range<Table extends PgTable, Declared> = Declared extends { readonly range: infer Column }
  ? { readonly range?: ListRange<Value<Table, PropertyOf<Table, Column>>> | undefined }
  : { readonly range?: 'range' extends keyof Declared ? ListRange | undefined : undefined };

/** The query type of a declared list: properties and types are those of its table. */
export type QueryOf<Table extends PgTable, Declared> = Filter<Table, Declared> &
  Range<Table, Declared> & { readonly after?: string | Row<Table> | undefined };

/** A list of a known table. */
export type List<Table extends PgTable, Declared> = Omit<
  ListDefinition,
  'cursorOf' | 'after' | 'where' | 'read' | 'page' | 'whole'
> & {
  cursorOf(row: Row<Table>): string;
  after(cursor: string | Row<Table>): SQL;
  where(query: QueryOf<Table, Declared>): SQL | undefined;
  read<Columns extends Selection>(
    db: NeonHttpDatabase,
    query: QueryOf<Table, Declared> & PageRequest<Columns>,
  ): Promise<ListAnswer<Selected<Columns>>>;
  page(
    page: QueryOf<Table, Declared> & {
      readonly rows?: readonly Row<Table>[];
      readonly cursors?: readonly string[];
      readonly full: boolean;
    },
  ): Tag[];
  whole(filter?: FilterValues<Table, Declared>): Tag;
};
