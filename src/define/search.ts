import { and, desc, getTableColumns, type SQL, sql } from 'drizzle-orm';
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core';
import * as z from 'zod';
import type { KeyDefinition, KeyInput } from './key.ts';
import { PAGE_ROWS_MAX } from './list.ts';
import type { ListRow, PageRequest, Selected, Selection } from './list-types.ts';
import { DeclarationMistake } from './mistake.ts';
import { type Tag, tag } from './tag.ts';

/** Text search configurations that every Postgres has, so that the worker and triggers both find them. */
export type SearchLanguage =
  | 'simple'
  | 'danish'
  | 'dutch'
  | 'english'
  | 'finnish'
  | 'french'
  | 'german'
  | 'hungarian'
  | 'italian'
  | 'norwegian'
  | 'portuguese'
  | 'romanian'
  | 'russian'
  | 'spanish'
  | 'swedish'
  | 'turkish';

/** The most columns of one search: titles, names and a description; a long text has its own bound. */
const COLUMNS_MAX = 8;
/** The longest query. A row must contain every word, so more words find no more rows. */
const QUERY_CHARACTERS_MAX = 200;
/**
 * The most lexemes for which a row has tags of their own. A row with more lexemes invalidates every answer of the
 * search.
 */
export const SEARCH_LEXEMES_MAX = 64;

/** Full-text search over columns of an entity. */
export interface SearchDeclaration {
  /** The texts to search; a null counts as an empty text. */
  readonly columns: readonly PgColumn[];
  /** How words become lexemes. `simple`, the default, only converts them to lower case. */
  readonly language?: SearchLanguage;
}

export interface SearchRequest<Columns extends Selection = Selection> extends PageRequest<Columns> {
  readonly query: string;
}

export interface SearchAnswer<Row = ListRow> {
  readonly rows: Row[];
  /** The tags that the answer depends on. */
  readonly tags: Tag[];
}

export interface SearchDefinition {
  /** The prefix of its tags, e.g. `station/search-by-text`. */
  readonly name: string;
  readonly columns: readonly PgColumn[];
  /** Parses the query parameter of a view. */
  readonly query: z.ZodType<string, string>;
  /** Lexemes of texts of these columns, or of a query, as a `text[]` of SQL. */
  lexemes(texts: readonly SQL[]): SQL;
  /**
   * Reads the rows that contain all words of the query, best first, and returns the tags that the answer depends on.
   */
  read(db: NeonHttpDatabase, request: SearchRequest): Promise<SearchAnswer>;
}

/** A search of a known table. */
export type Search = Omit<SearchDefinition, 'read'> & {
  read<Columns extends Selection>(
    db: NeonHttpDatabase,
    request: SearchRequest<Columns>,
  ): Promise<SearchAnswer<Selected<Columns>>>;
};

/**
 * A search of an entity's rows. An answer depends on the rows that it shows and on one lexeme of its query. A row that
 * comes to match has that lexeme, and it invalidates all of its lexemes when it is inserted or its text changes
 * (`storage/postgres/list-tags.ts`). The database computes the lexemes on both sides.
 *
 * @throws Error at load, for columns that are not text columns of the table.
 */
export function search(
  name: string,
  of: { readonly table: PgTable; readonly key: KeyDefinition; readonly row: (key: KeyInput) => Tag },
  { columns, language = 'simple' }: SearchDeclaration,
): SearchDefinition {
  const known = Object.values(getTableColumns(of.table));
  const wrong = columns.find(
    (column) => !known.includes(column) || !/^(text|varchar.*)$/.test(column.getSQLType()),
  );
  if (wrong !== undefined)
    throw new DeclarationMistake(
      `The search "${name}" names "${wrong.name}", which is not a text of the table.`,
      'Name text columns of the table.',
    );
  if (columns.length === 0 || columns.length > COLUMNS_MAX)
    throw new DeclarationMistake(
      `The search "${name}" has ${columns.length} columns.`,
      `Give it 1 to ${COLUMNS_MAX}.`,
    );
  const configuration = sql.raw(`'pg_catalog.${language}'::regconfig`);
  const vector = (texts: readonly SQL[]) => {
    const whole = sql.join(
      texts.map((text) => sql`coalesce(${text}, '')`),
      sql` || ' ' || `,
    );
    return sql`to_tsvector(${configuration}, ${whole})`;
  };
  const lexemes = (texts: readonly SQL[]) => sql`tsvector_to_array(${vector(texts)})`;
  const document = vector(columns.map((column) => sql`${column}`));
  return {
    name,
    columns,
    query: z
      .string()
      .trim()
      .min(1)
      .max(QUERY_CHARACTERS_MAX)
      .regex(/^\P{Cc}*$/u, 'A query has no control characters.')
      .refine((text) => text.isWellFormed(), 'A query has no unpaired surrogates.'),
    lexemes,
    read: async (db, { query, select, limit }) => {
      if (!Number.isInteger(limit) || limit < 1 || limit > PAGE_ROWS_MAX)
        throw new RangeError(`An answer of a search has 1 to ${PAGE_ROWS_MAX} rows, not ${limit}.`);
      const words = sql`plainto_tsquery(${configuration}, ${query})`;
      const wanted = lexemes([sql`${query}::text`]);
      const keys = Object.fromEntries(of.key.columns.map(({ property, column }) => [property, column]));
      const [{ rows: found }, matching] = await db.batch([
        // The longest lexeme is seldom the most frequent one.
        db.execute<{ place: string }>(
          sql`select ${lexemeHash(sql`lexeme`)} as place from unnest(${wanted}) as lexeme
            order by length(lexeme) desc, lexeme limit 1`,
        ),
        db
          .select({ row: { ...select }, key: keys })
          .from(of.table)
          // The first condition uses an index; the second is the exact condition for which the tags are correct.
          .where(and(sql`${document} @@ ${words}`, sql`tsvector_to_array(${document}) @> ${wanted}`))
          .orderBy(desc(sql`ts_rank(${document}, ${words})`), ...of.key.columns.map(({ column }) => column))
          .limit(limit),
      ]);
      const places = found.length === 0 ? [''] : [...found.map(({ place }) => place), MANY];
      return {
        rows: matching.map(({ row }) => row),
        tags: [
          ...places.map((place) => tag(`${name}^${place}`)),
          // The columns of a key have values of a key.
          ...matching.map(({ key }) => of.row(key as Exclude<KeyInput, string | number | bigint>)),
        ],
      };
    },
  };
}

/** Stands for a lexeme's hash: a row with too many lexemes invalidates this. */
export const MANY = '0';

/** A lexeme in a tag: 64 bits of a hash, because a word may hold any character. */
export function lexemeHash(lexeme: SQL): SQL {
  return sql`left(encode(sha256(convert_to(${lexeme}, 'UTF8')), 'hex'), 16)`;
}
