import { getTableName, getTableUniqueName, type SQL, sql } from 'drizzle-orm';
import { getTableConfig, type PgTable } from 'drizzle-orm/pg-core';
import type { EntityDefinition, HistoryDefinition } from '../../define/entity.ts';
import type { FeatureDefinition } from '../../define/feature.ts';
import { OWN_WRITE } from './captured.ts';
import { COLUMNS_PREFIX, columnFunctions, columnStatements, columnTriggers } from './column-history.ts';
import { canonicalText, ownerColumns } from './key-sql.ts';
import { deleteTags, insertTags, updateTags } from './list-tags.ts';
import { outbox, schema } from './schema.ts';
import { type CapturedTrigger, compiled, functionName, literal, qualified } from './trigger-sql.ts';

/**
 * Captures changes by other writers: triggers write the outbox rows of every change that this worker did not make, with
 * the same tags as the worker's own writes. The triggers are statement-level and read the changed rows from transition
 * tables. So a statement costs one scan of its rows and few outbox rows, however many rows it changes.
 */

/** The declarations that the triggers cover. */
export interface CaptureSource {
  readonly entities: readonly EntityDefinition[];
  readonly histories: readonly HistoryDefinition[];
  /** Those over columns have the changes of their columns recorded (`column-history.ts`). None by default. */
  readonly features?: readonly FeatureDefinition[];
  /** The tag of all answers, for a truncated table and for a statement with more than `STATEMENT_TAGS_MAX` tags. */
  readonly everything: string;
}

/**
 * The most tags of one outbox row, beside the remaining tags of its last changed row. Every answer that is read from the
 * database comes with a report on up to 200 pending rows; this limit keeps it to little more than half a megabyte.
 */
export const ROW_TAGS_MAX = 100;

/**
 * The most tags of one statement; a statement with more invalidates everything of its table. 10,000 tags are a 26th of
 * what a clock remembers (`CLOCK_LIMITS`), so one statement seldom makes it forget what answers still depend on.
 */
export const STATEMENT_TAGS_MAX = 10_000;

/** Prefix of each trigger's name; the kind of statement follows. */
const TRIGGER_PREFIX = 'millrace_capture';
/** Prefix of each function's name in Millrace's schema; the table's schema and name follow. */
const FUNCTION_PREFIX = 'capture';
/** How long a deploy waits for a table's lock. While it waits, every writer of the table waits behind it. */
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

const OUTBOX = compiled(sql`${outbox}`);

/**
 * The statements that install the triggers, to be run in one transaction. Running them again changes nothing. They drop
 * the triggers of tables that left the catalog. Each is one statement without parameters. They need Millrace's schema,
 * so the migrations come first, and the privilege `trigger` on each table, which another role may own. They need Postgres
 * 14 or newer, and no superuser.
 *
 * @throws Error for a table whose name is too long for a unique function name.
 */
export function captureStatements(source: CaptureSource): string[] {
  const tables = tablesOf(source);
  const { features = [] } = source;
  const names = [
    ...tables.map(({ table }) => functionName(FUNCTION_PREFIX, table)),
    ...columnFunctions(features),
  ];
  return [
    ...preamble(),
    dropStatement(names),
    ...tables.flatMap((of) => [functionStatement(of, source.everything), ...triggerStatements(of.table)]),
    ...columnStatements(features),
  ];
}

/** The statements that remove all capture triggers, to be run in one transaction. */
export function dropCaptureStatements(): string[] {
  return [...preamble(), dropStatement([])];
}

/** Describes the triggers of all tables, so that a database can be compared with the declarations. */
export function capturedTriggers(source: CaptureSource): CapturedTrigger[] {
  const own = tablesOf(source).map((of) => ({
    table: compiled(sql`${of.table}`),
    functionName: functionName(FUNCTION_PREFIX, of.table),
    body: functionStatement(of, source.everything).split('$capture$')[1] ?? '',
    triggers: TRIGGERS.map(({ event }) => `${TRIGGER_PREFIX}_${event}`).sort(),
  }));
  return [...own, ...columnTriggers(source.features ?? [])];
}

/** The declarations of one table: usually one entity or one history. */
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

/** One more than the most tags of a statement: a result of this size says that there are too many. */
const LIMIT = sql.raw(String(STATEMENT_TAGS_MAX + 1));

/** For each kind of statement, a query that returns an array of tags for each changed row. */
function changedRows(of: CapturedTable): {
  readonly insert: SQL;
  readonly update: SQL;
  readonly delete: SQL;
} {
  // Each row of an entity has its own tag, so rows beyond the limit of tags need not be read. Rows of a history often
  // share their owners, so only distinct arrays count.
  const select = sql.raw(of.entities.length > 0 ? 'select' : 'select distinct');
  const changed = insertedRowTags(of, 'changed');
  const prior = deletedRowTags(of, 'prior');
  const keys = pairingColumns(of).map((name) => sql.identifier(name));
  const isMissing = (row: string) => sql`${sql.raw(row)}.${keys[0]} is null`;
  const updated = sql`
    case when ${isMissing('prior')} then ${changed} when ${isMissing('changed')} then ${prior}
      else ${updatedRowTags(of, 'prior', 'changed')} end`;
  const isSame = keys.map((key) => sql`prior.${key} = changed.${key}`);
  // A row that an update leaves unchanged changes no answer; `*<>` compares rows of any type.
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

/** The tag of the history's part for each owner that the row names, as `tagsOfAppend` makes it. */
function ownerTags(history: HistoryDefinition, row: string): SQL {
  const tags = history.owners.map((owner) => {
    const columns = ownerColumns(owner, history.table).map((name) => sql`${sql.raw(row)}.${name}`);
    const key = canonicalText(columns);
    const prefix = sql.raw(`${literal(`${history.name}@${owner.entity.name}:`)}::text`);
    return sql`case when ${key} is not null then array[${prefix} || ${key}] else '{}'::text[] end`;
  });
  return concatenated(tags);
}

/** The columns that pair a row's old and new versions in an update. A row with a new key counts as deleted and inserted. */
function pairingColumns({ table, entities }: CapturedTable): string[] {
  const [entity] = entities;
  if (entity !== undefined) return entity.key.columns.map(({ column }) => column.name);
  const { columns, primaryKeys } = getTableConfig(table);
  const key = columns.filter(({ primary }) => primary);
  const names = (key.length > 0 ? key : (primaryKeys[0]?.columns ?? [])).map(({ name }) => name);
  if (names.length === 0)
    throw new Error(
      `The table "${getTableName(table)}" has no primary key, so its changes cannot be captured. Declare one.`,
    );
  return names;
}

function concatenated(arrays: readonly SQL[]): SQL {
  return sql`(${sql.join(arrays.length > 0 ? [...arrays] : [sql`'{}'::text[]`], sql` || `)})`;
}

/**
 * The trigger function of a table. It runs with its owner's rights, so that other writers need none on the outbox. For
 * that its search path is fixed, with temporary tables last. An error while it computes tags, such as a dropped column,
 * does not fail the other writer's statement: the function invalidates everything and raises a warning. The block that
 * may fail writes nothing, so it needs no transaction id of its own.
 *
 * All tags of one changed row go into one outbox row. Otherwise a reader that has invalidated one part of a change would
 * take the whole change for invalidated.
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
  return `create or replace function ${qualified(functionName(FUNCTION_PREFIX, of.table))}() returns trigger
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

/** The triggers do not fire for the worker's own statements, which have written their outbox rows themselves. */
function triggerStatements(table: PgTable): string[] {
  const target = compiled(sql`${table}`);
  return TRIGGERS.map(
    ({ event, rows }) => `create or replace trigger ${TRIGGER_PREFIX}_${event} after ${event} on ${target}
${rows} for each statement when (current_setting(${literal(OWN_WRITE)}, true) is distinct from 'on')
execute function ${qualified(functionName(FUNCTION_PREFIX, table))}()`,
  );
}

/**
 * Drops every trigger function of Millrace's schema that is not in `except`, with its triggers. All of them are
 * capture functions, some of earlier versions. Dropping a trigger this way needs no right on its table.
 */
/**
 * The schema has other trigger functions, such as those of the audit log: only capture's own are dropped, those of earlier
 * deployments among them, which had another name.
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
      and (starts_with(p.proname, ${literal(`${FUNCTION_PREFIX} `)}) or starts_with(p.proname, ${literal(`${COLUMNS_PREFIX} `)})
        or starts_with(p.proname, ${literal(TRIGGER_PREFIX)}))
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
