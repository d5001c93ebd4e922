import type { GetColumnData, SQL } from 'drizzle-orm';
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core';
import type * as z from 'zod';
import type { SortColumn } from './sort-column.ts';
import type { Tag } from './tag.ts';

/** A column of an order: alone it ascends. */
export type OrderColumn = PgColumn | { readonly column: PgColumn; readonly descending: boolean };

/** An order of an entity's rows that is read page by page. */
export interface ListDeclaration {
  /**
   * One to four columns that are not null, each ascending or wrapped in `descending(…)`. The columns of the entity's
   * key follow, in the direction of the last one, so that no two rows have one place.
   */
  readonly orderBy: OrderColumn | readonly OrderColumn[];
  /** Up to four columns that a reader of the list gives one value each for. */
  readonly filter?: readonly PgColumn[];
  /**
   * A column that a reader may bound. Pages of bounded lists are told apart where it is the first column of the order.
   * Any other column may be bounded, too: a page then depends on all rows between its first and its last one.
   */
  readonly range?: PgColumn;
  /** How finely positions are told apart, in hexadecimal digits; for keys that begin alike, give more. */
  readonly digits?: number;
}

/** A row, or as much of it as the list needs: property names are those of the drizzle table. */
export type ListRow = Readonly<Record<string, unknown>>;

/** Bounds of the column of a `range`; texts are compared by their bytes. */
export interface ListRange<Value = unknown> {
  readonly gte?: Value | undefined;
  readonly gt?: Value | undefined;
  readonly lte?: Value | undefined;
  readonly lt?: Value | undefined;
}

/** Which rows of a list are read. */
export interface ListQuery {
  /** The value of each filter column. */
  readonly filter?: ListRow | undefined;
  readonly range?: ListRange | undefined;
  /** The cursor, or the row, that the page begins after; absent for the first page. */
  readonly after?: string | ListRow | undefined;
}

/** One page of a list, as a query has read it. */
export interface ListPage extends ListQuery {
  /** Its rows, in order. Where the order has a column in drizzle's mode "date", give `cursors`. */
  readonly rows?: readonly ListRow[];
  /** The cursor of each row instead, as the query selected it by `cursorColumn`. */
  readonly cursors?: readonly string[];
  /** Whether it has as many rows as it may: what comes after its last row does not change it then. */
  readonly full: boolean;
}

export type Selection = Readonly<Record<string, PgColumn | SQL>>;
/** The values of a selection, as drizzle has them. */
export type Selected<Columns extends Selection> = {
  [Property in keyof Columns]: Columns[Property] extends PgColumn
    ? GetColumnData<Columns[Property]>
    : Columns[Property] extends SQL<infer Value>
      ? Value
      : never;
};

/** A page as `read` answers it. */
export interface ListAnswer<Row = ListRow> {
  readonly rows: Row[];
  /** The cursor of the next page; null where this one is the last. */
  readonly next: string | null;
  /** What the page depends on. */
  readonly tags: Tag[];
}

/** What is read of each row, and how many rows a page has at most. */
export interface PageRequest<Columns extends Selection = Selection> {
  readonly select: Columns;
  readonly limit: number;
}

export interface ListDefinition {
  /** The entity's name and its own, e.g. `station/by-bikes`: what its tags begin with. */
  readonly name: string;
  /** What it is ordered by: the declared columns and those of the key. */
  readonly orderBy: readonly SortColumn[];
  readonly filter: readonly SortColumn[];
  readonly range: SortColumn | undefined;
  /** The length of a position. */
  readonly digits: number;
  /** For `orderBy` of a query: texts by their bytes, whatever the collation of the database. */
  readonly order: readonly SQL[];
  /** Parses the query parameter of a view that a reader gives `next` of the page before in. */
  readonly cursor: z.ZodType<string, string>;
  /** The cursor of each row, for `select` of a query that is not made by `read`. */
  readonly cursorColumn: SQL<string>;
  /** The cursor of a row. @throws TypeError where a value is missing, or a column has the mode "date". */
  cursorOf(row: ListRow): string;
  /** For `where` of a query: the rows after this one. */
  after(cursor: string | ListRow): SQL;
  /** For `where` of a query: all that the reader asks for; undefined for the beginning of a list without filters. */
  where(query: ListQuery): SQL | undefined;
  /** Reads a page in one statement and says what it depends on. */
  read(db: NeonHttpDatabase, query: ListQuery & PageRequest): Promise<ListAnswer>;
  /** What a page depends on: the rows that could enter its range of the list, and each row that it shows. */
  page(page: ListPage): Tag[];
  /** What an answer about the whole list depends on, such as the number of its rows. */
  whole(filter?: ListRow): Tag;
  /** What a row invalidates by coming to its place in the list. */
  entering(row: ListRow): Tag[];
  /** What a row invalidates by leaving its place, beside its own tag, which every page that shows it names. */
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
/** A list of an unknown declaration may have each member; a known one has those that it declares. */
type Filter<Table extends PgTable, Declared> = Declared extends { readonly filter: readonly unknown[] }
  ? { readonly filter: FilterValues<Table, Declared> }
  : { readonly filter?: 'filter' extends keyof Declared ? ListRow | undefined : undefined };
type Range<Table extends PgTable, Declared> = Declared extends { readonly range: infer Column }
  ? { readonly range?: ListRange<Value<Table, PropertyOf<Table, Column>>> | undefined }
  : { readonly range?: 'range' extends keyof Declared ? ListRange | undefined : undefined };

/** Which rows of a declared list are read: properties and types are those of its table. */
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
