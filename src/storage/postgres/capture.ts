import { getTableName, getTableUniqueName, type SQL, sql } from 'drizzle-orm';
import { getTableConfig, PgDialect, type PgTable } from 'drizzle-orm/pg-core';
import type { EntityDefinition, HistoryDefinition } from '../../define/entity.ts';
import { OWN_WRITE } from './captured.ts';
import { canonicalText, ownerColumns } from './key-sql.ts';
import { deleteTags, insertTags, updateTags } from './list-tags.ts';
import { outbox, schema } from './schema.ts';

/**
 * Capture of other writers: triggers that write the outbox rows of every change that was not made by this worker,
 * with the tags that its own writes would have. They are statement-level and read the changed rows from transition
 * tables, so a statement costs one look at its rows and few outbox rows, however many rows it changes.
 */

/** What the triggers are made for. */
export interface CaptureSource {
  readonly entities: readonly EntityDefinition[];
  readonly histories: readonly HistoryDefinition[];
  /** The tag of all answers: for a truncated table, and for a statement that changes more than is worth telling apart. */
  readonly everything: string;
}

/**
 * Tags of one outbox row, beside the rest of those of its last changed row. A report on 200 pending rows comes with
 * every answer that is read from the database, so it has little more than half a megabyte at most.
 */
export const ROW_TAGS_MAX = 100;

/**
 * Tags of one statement. 10,000 of them take 14 % of the clock's slots: half of the answers about one thing, which
 * have about four, and nearly all lists are void then, so telling the tags apart is worth little beyond.
 */
export const STATEMENT_TAGS_MAX = 10_000;

/** What each trigger is called, with the kind of statement behind it. */
const TRIGGER_PREFIX = 'millrace_capture';
/** What each function is called, in Millrace's schema, with the table's schema and name behind it. */
const FUNCTION_PREFIX = 'capture';
/** Postgres cuts longer names off, and two tables could share a function then. */
const NAME_BYTES_MAX = 63;

/** A deploy waits this long for a table's lock; behind it, every writer of the table would wait as well. */
const LOCK_TIMEOUT = '5s';

const OLD_ROWS = sql.raw('old_rows');
const NEW_ROWS = sql.raw('new_rows');

const TRIGGERS = [
  { event: 'insert', rows: 'referencing new table as new_rows' },
  { event: 'update', rows: 'referencing old table as old_rows new table as new_rows' },
  { event: 'delete', rows: 'referencing old table as old_rows' },
  // A truncated table has no transition table.
  { event: 'truncate', rows: '' },
] as const;

const dialect = new PgDialect();

const OUTBOX = compiled(sql`${outbox}`);

/**
 * The statements that install the triggers, to be run in one transaction, as often as one likes. Triggers of tables
 * that the catalog no longer has are dropped. Each is one statement without parameters. They need Millrace's
 * schema, so the migrations come first, and the privilege `trigger` on each table, whoever owns it; no superuser;
 * Postgres 14 or newer.
 *
 * @throws Error for a table whose name is too long to be told apart.
 */
export function captureStatements(source: CaptureSource): string[] {
  const tables = tablesOf(source);
  const names = tables.map(({ table }) => functionName(table));
  return [
    ...preamble(),
    dropStatement(names),
    ...tables.flatMap((of) => [functionStatement(of, source.everything), ...triggerStatements(of.table)]),
  ];
}

/** The statements that remove all triggers of capture, in one transaction. */
export function dropCaptureStatements(): string[] {
  return [...preamble(), dropStatement([])];
}

/** What the catalog says of one table. Usually it has one entity or one history. */
interface CapturedTable {
  readonly table: PgTable;
  readonly entities: readonly EntityDefinition[];
  readonly histories: readonly HistoryDefinition[];
}

function tablesOf({ entities, histories }: CaptureSource): CapturedTable[] {
  const tables = new Map([...entities, ...histories].map(({ table }) => [getTableUniqueName(table), table]));
  return [...tables].map(([name, table]) => {
    const isOfTable = (definition: { table: PgTable }) => getTableUniqueName(definition.table) === name;
    return { table, entities: entities.filter(isOfTable), histories: histories.filter(isOfTable) };
  });
}

/** One row more than could have tags that are told apart: whoever finds that many knows that there are too many. */
const LIMIT = sql.raw(String(STATEMENT_TAGS_MAX + 1));

/** For each kind of statement a query of one array of tags for each changed row. */
function changedRows(of: CapturedTable): {
  readonly insert: SQL;
  readonly update: SQL;
  readonly delete: SQL;
} {
  // Each row of an entity has a tag of its own, so as many rows as there may be tags are enough to look at. The
  // rows of a history often have their owners in common.
  const select = sql.raw(of.entities.length > 0 ? 'select' : 'select distinct');
  const changed = insertedRowTags(of, 'changed');
  const prior = deletedRowTags(of, 'prior');
  const keys = pairingColumns(of).map((name) => sql.identifier(name));
  const isMissing = (row: string) => sql`${sql.raw(row)}.${keys[0]} is null`;
  const updated = sql`
    case when ${isMissing('prior')} then ${changed} when ${isMissing('changed')} then ${prior}
      else ${updatedRowTags(of, 'prior', 'changed')} end`;
  const isSame = keys.map((key) => sql`prior.${key} = changed.${key}`);
  // A row that is written as it was changes no answer; `*<>` compares rows of whatever types.
  return {
    insert: sql`${select} ${changed} as tags from ${NEW_ROWS} as changed limit ${LIMIT}`,
    delete: sql`${select} ${prior} as tags from ${OLD_ROWS} as prior limit ${LIMIT}`,
    update: sql`${select} ${updated} as tags
    from ${OLD_ROWS} as prior full join ${NEW_ROWS} as changed on ${sql.join(isSame, sql` and `)}
    where ${isMissing('prior')} or ${isMissing('changed')} or (prior.*) *<> (changed.*) limit ${LIMIT}`,
  };
}

function insertedRowTags({ entities, histories }: CapturedTable, row: string): SQL {
  return concatenated([
    ...entities.map((entity) => insertTags(entity, row)),
    ...histories.map((history) => ownerTags(history, row)),
  ]);
}

function deletedRowTags({ entities, histories }: CapturedTable, row: string): SQL {
  return concatenated([
    ...entities.map((entity) => deleteTags(entity, row)),
    ...histories.map((history) => ownerTags(history, row)),
  ]);
}

function updatedRowTags({ entities, histories }: CapturedTable, prior: string, changed: string): SQL {
  return concatenated([
    ...entities.map((entity) => updateTags(entity, prior, changed)),
    ...histories.flatMap((history) => [ownerTags(history, prior), ownerTags(history, changed)]),
  ]);
}

/** The part of the history for each owner that the row names, as `tagsOfAppend` has it. */
function ownerTags(history: HistoryDefinition, row: string): SQL {
  const tags = history.owners.map((owner) => {
    const columns = ownerColumns(owner, history.table).map((name) => sql`${sql.raw(row)}.${name}`);
    const key = canonicalText(columns);
    const prefix = sql.raw(`${literal(`${history.name}@${owner.entity.name}:`)}::text`);
    return sql`case when ${key} is not null then array[${prefix} || ${key}] else '{}'::text[] end`;
  });
  return concatenated(tags);
}

/** By what a row before an update and a row after it are the same; one that got another key is deleted and inserted. */
function pairingColumns({ table, entities }: CapturedTable): string[] {
  const [entity] = entities;
  if (entity !== undefined) return entity.key.columns.map(({ column }) => column.name);
  const { columns, primaryKeys } = getTableConfig(table);
  const key = columns.filter(({ primary }) => primary);
  const names = (key.length > 0 ? key : (primaryKeys[0]?.columns ?? [])).map(({ name }) => name);
  if (names.length === 0) throw new Error(`The table "${getTableName(table)}" has no primary key.`);
  return names;
}

function concatenated(arrays: readonly SQL[]): SQL {
  return sql`(${sql.join(arrays.length > 0 ? [...arrays] : [sql`'{}'::text[]`], sql` || `)})`;
}

/**
 * The function of a table's triggers. It runs with the rights of its owner, so other writers need none on the
 * outbox; for that its search path is fixed, with temporary tables last. An error in the tags, such as a column
 * that is gone, fails no other writer's statement: it voids everything, and warns. What may fail writes nothing,
 * so its block needs no transaction number of its own.
 *
 * The tags of one changed row stay in one outbox row: who has invalidated a part of a change would otherwise take
 * it for the whole.
 */
function functionStatement(of: CapturedTable, everything: string): string {
  const changed = changedRows(of);
  const find = (rows: SQL) => `
        select array_agg(part), array_agg(tag) into parts_found, tags_found
        from (
          select distinct part, tag
          from (
            select row_tags.tags, (sum(cardinality(row_tags.tags)) over preceding - cardinality(row_tags.tags)) / ${ROW_TAGS_MAX} as part
            from (${compiled(rows)}) as row_tags(tags)
            window preceding as (rows between unbounded preceding and current row)
          ) as numbered, unnest(numbered.tags) as tag
          limit ${STATEMENT_TAGS_MAX + 1}
        ) as parted;`;
  return `create or replace function ${qualified(functionName(of.table))}() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $capture$
declare
  parts_found bigint[];
  tags_found text[];
  is_everything boolean := tg_op = 'TRUNCATE';
begin
  begin
    case tg_op
      when 'INSERT' then${find(changed.insert)}
      when 'UPDATE' then${find(changed.update)}
      when 'DELETE' then${find(changed.delete)}
      else null;
    end case;
  exception when others then
    raise warning 'millrace: a change of % is captured as one of everything: %', tg_table_name, sqlerrm;
    is_everything := true;
  end;
  if is_everything or cardinality(tags_found) > ${STATEMENT_TAGS_MAX} then
    insert into ${OUTBOX} (tags) values (array[${literal(everything)}]);
  else
    insert into ${OUTBOX} (tags)
    select array_agg(tag) from unnest(parts_found, tags_found) as parted(part, tag) group by part order by part;
  end if;
  return null;
end
$capture$`;
}

/** The worker's own statements have written their outbox rows, and do not even call the function. */
function triggerStatements(table: PgTable): string[] {
  const target = compiled(sql`${table}`);
  return TRIGGERS.map(
    ({ event, rows }) => `create or replace trigger ${TRIGGER_PREFIX}_${event} after ${event} on ${target}
${rows} for each statement when (current_setting(${literal(OWN_WRITE)}, true) is distinct from 'on')
execute function ${qualified(functionName(table))}()`,
  );
}

/**
 * All trigger functions of Millrace's schema are capture's, also those of an earlier Millrace; their triggers go with
 * them. A trigger that goes this way needs no right on its table.
 */
function dropStatement(except: readonly string[]): string {
  const kept = `array[${except.map(literal).join(', ')}]::text[]`;
  return `do $drop$
declare
  stale regprocedure;
begin
  for stale in
    select p.oid::regprocedure from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where n.nspname = ${literal(schema.schemaName)} and p.prorettype = 'trigger'::regtype
      and p.proname <> all (${kept})
  loop
    execute format('drop function %s cascade', stale);
  end loop;
end
$drop$`;
}

function preamble(): string[] {
  return [`set local lock_timeout = '${LOCK_TIMEOUT}'`, 'set local client_min_messages = warning'];
}

function functionName(table: PgTable): string {
  const { schema: tableSchema = 'public' } = getTableConfig(table);
  const name = `${FUNCTION_PREFIX} ${tableSchema}.${getTableName(table)}`;
  if (new TextEncoder().encode(name).length > NAME_BYTES_MAX)
    throw new Error(
      `The table "${tableSchema}.${getTableName(table)}" has too long a name for a trigger function: ` +
        `Postgres takes ${NAME_BYTES_MAX} bytes, of which "${FUNCTION_PREFIX} " takes ${FUNCTION_PREFIX.length + 1}.`,
    );
  return name;
}

/** A function's name within Millrace's schema. */
function qualified(name: string): string {
  return `${quoted(schema.schemaName)}.${quoted(name)}`;
}

/** A definition of a function has no parameters. */
function compiled(statement: SQL): string {
  const { sql: written, params } = dialect.sqlToQuery(statement);
  if (params.length > 0) throw new Error(`A trigger cannot have parameters: ${written}`);
  return written;
}

function literal(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
