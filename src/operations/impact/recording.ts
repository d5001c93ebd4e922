import { Column, getViewName, is, Name, Param, type Query, SQL, Subquery, Table, View } from 'drizzle-orm';
import { NeonHttpDatabase, NeonHttpSession } from 'drizzle-orm/neon-http';
import {
  getViewConfig,
  PgDialect,
  type PgTable,
  PgView,
  type PreparedQueryConfig,
} from 'drizzle-orm/pg-core';
import type { Database } from '../../define/view.ts';
import type { SampleRows } from './samples.ts';
import { bareWords, isAggregate, namedTables, quotedNames, takesAll } from './sql-text.ts';
import { columnsOf, tableName } from './tables.ts';

/** Runs queries of drizzle without a database: it records what they read, and answers with made-up rows. */

/** What queries read. */
export interface Reads {
  /** As `tableName` has them. */
  readonly tables: Set<string>;
  /** `table.column`. */
  readonly columns: Set<string>;
  /** Tables and views that a query names and the catalog does not have. */
  readonly foreign: Set<string>;
}

export function noReads(): Reads {
  return { tables: new Set(), columns: new Set(), foreign: new Set() };
}

/** What a recording needs. */
export interface Recording {
  /** What its queries read is added to it. */
  readonly reads: Reads;
  /** The tables of the catalog, by their names. */
  readonly tables: ReadonlyMap<string, PgTable>;
  readonly samples: SampleRows;
  /** Whether queries answer with one made-up row, or with none. */
  readonly hasRows: boolean;
}

type Session = NeonHttpSession<Record<string, never>, Record<string, never>>;
type Fields = Parameters<Session['prepareQuery']>[1];

/** A database that answers each query without I/O. */
export function recordingDatabase(recording: Recording): Database {
  const fieldsOf = new Map<string, Fields>();
  const answer = async (text: string) => ({ rows: rowsOf(text, fieldsOf.get(text), recording) });
  // Batches call the client for each query, and give what it returned to `transaction`.
  const client = Object.assign(answer, {
    transaction: (queries: readonly unknown[]) => Promise.all(queries),
  });
  const session = new RecordingSession(client as never, new RecordingDialect(recording), fieldsOf, recording);
  return new NeonHttpDatabase(session.recordingDialect, session, undefined);
}

class RecordingDialect extends PgDialect {
  readonly #recording: Recording;

  constructor(recording: Recording) {
    super();
    this.#recording = recording;
  }

  override sqlToQuery(query: SQL, source?: 'indexes') {
    const built = super.sqlToQuery(query, source);
    record([query], built.sql, this.#recording);
    return built;
  }
}

class RecordingSession extends NeonHttpSession<Record<string, never>, Record<string, never>> {
  readonly recordingDialect: PgDialect;
  readonly #fieldsOf: Map<string, Fields>;
  readonly #recording: Recording;

  constructor(client: never, dialect: PgDialect, fieldsOf: Map<string, Fields>, recording: Recording) {
    super(client, dialect, undefined);
    this.recordingDialect = dialect;
    this.#fieldsOf = fieldsOf;
    this.#recording = recording;
  }

  override prepareQuery<T extends PreparedQueryConfig>(
    query: Query,
    fields: Fields,
    name: string | undefined,
    isArrayMode: boolean,
    mapper?: (rows: unknown[][]) => T['execute'],
  ) {
    this.#fieldsOf.set(query.sql, fields);
    // A query of one table selects columns by bare names, so its text does not have them: only the fields do.
    record(
      (fields ?? []).map(({ field }) => field),
      '',
      this.#recording,
    );
    return super.prepareQuery<T>(query, fields, name, isArrayMode, mapper);
  }
}

function rowsOf(text: string, fields: Fields, { samples, hasRows }: Recording): unknown[] {
  if (fields === undefined) return hasRows || isAggregate(text) ? [anyRow(hasRows)] : [];
  const columns = fields.some(({ field }) => is(field, Column));
  const hasOne = !columns && !/\bgroup by\b/i.test(text);
  if (!hasRows && !hasOne) return [];
  return [
    fields.map(({ field, path }) => (hasRows ? samples.valueOf(field, path.at(-1) ?? '') : emptyOf(text))),
  ];
}

/** What an aggregate over no rows is: a count is 0, and a sum null. */
function emptyOf(text: string): string | null {
  return /\bcount\s*\(/i.test(text) ? '0' : null;
}

/** A row of a statement whose columns are not known: each property is a text. */
function anyRow(hasRows: boolean): unknown {
  return new Proxy(
    {},
    {
      get: (_, property) =>
        typeof property === 'string' && property !== 'then' ? (hasRows ? '1' : '0') : undefined,
    },
  );
}

/** Adds the tables and columns that the parts of a query are made of, and those that its text names. */
function record(parts: readonly unknown[], text: string, { reads, tables }: Recording): void {
  const aliases = new Set<string>();
  const open = [...parts];
  const seen = new Set<unknown>();
  while (open.length > 0) {
    const part = open.pop();
    if (typeof part !== 'object' || part === null || seen.has(part)) continue;
    seen.add(part);
    if (Array.isArray(part)) open.push(...part);
    else if (is(part, SQL)) open.push(...part.queryChunks);
    else if (is(part, Column)) {
      reads.tables.add(tableName(part.table));
      reads.columns.add(`${tableName(part.table)}.${part.name}`);
    } else if (is(part, Table)) reads.tables.add(tableName(part));
    else if (is(part, Param)) open.push(part.value);
    else if (is(part, Name)) aliases.add(part.value);
    else if (is(part, SQL.Aliased)) open.push(part.sql);
    else if (is(part, Subquery)) {
      aliases.add(part._.alias);
      open.push(part._.sql);
    } else if (is(part, View)) {
      const query = is(part, PgView) ? getViewConfig(part).query : undefined;
      if (query === undefined) reads.foreign.add(getViewName(part));
      else open.push(query);
      aliases.add(getViewName(part));
    } else if ('getSQL' in part && typeof part.getSQL === 'function') open.push(part.getSQL());
  }
  if (text !== '') recordText(text, aliases, reads, tables);
}

/** Adds what a text names that was written by hand into a query. */
function recordText(
  text: string,
  aliases: ReadonlySet<string>,
  reads: Reads,
  tables: ReadonlyMap<string, PgTable>,
): void {
  const words = bareWords(text);
  const quoted = quotedNames(text);
  const typed = new Set<string>();
  for (const named of namedTables(text)) {
    const name = named.replace(/^public\./, '');
    if (reads.tables.has(name) || aliases.has(name) || isColumn(name, [...reads.tables], tables)) continue;
    if (tables.has(name)) typed.add(name);
    else reads.foreign.add(name);
  }
  for (const name of typed) reads.tables.add(name);
  for (const name of reads.tables) {
    const table = tables.get(name);
    if (table === undefined) continue;
    for (const { name: column } of Object.values(columnsOf(table))) {
      const isNamed = words.has(column) || (typed.has(name) && (quoted.has(column) || takesAll(text)));
      if (isNamed) reads.columns.add(`${name}.${column}`);
    }
  }
}

/** Whether a name is a column, as in `extract(epoch from occurred_at)`. */
function isColumn(name: string, of: readonly string[], tables: ReadonlyMap<string, PgTable>): boolean {
  const last = name.split('.').at(-1);
  return of.some((table) => {
    const known = tables.get(table);
    return known !== undefined && Object.values(columnsOf(known)).some((column) => column.name === last);
  });
}
