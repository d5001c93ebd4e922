import { getTableUniqueName, type SQL, sql } from 'drizzle-orm';
import type { PgTable } from 'drizzle-orm/pg-core';
import type { EntityDefinition } from '../../define/entity.ts';
import type { FeatureDefinition } from '../../define/feature.ts';
import { COLUMN_CHARACTERS_MAX } from '../../define/feature-column.ts';
import type { FeatureSource } from '../../define/feature-definition.ts';
import { rowChangeType } from '../../define/row-change.ts';
import { BULK, UNRECORDED } from './captured.ts';
import { keyText, sameKey } from './key-sql.ts';
import { events, outbox, schema } from './schema.ts';
import { type CapturedTrigger, compiled, functionName, literal, qualified } from './trigger-sql.ts';

/**
 * The history of the columns that features read: triggers store an event for each row of which such a column changed,
 * with its outbox row, in the transaction of the change. They fire for every writer, the worker's own transactions too,
 * so one place decides what a feature folds. The outbox row has no tags: the change of the row itself is invalidated by
 * the row's own outbox row, and the fold invalidates the features.
 *
 * The moment of a change is the database's clock after the row was locked. The order of two changes of a row is that of
 * their numbers, which are drawn under the same lock.
 */

/** Prefix of each trigger's name; the kind of statement follows. */
const TRIGGER_PREFIX = 'millrace_columns';
/** Prefix of each function's name in Millrace's schema; the table's schema and name follow. */
export const COLUMNS_PREFIX = 'columns';
/** What the events name as their source. Their ids are random, so no producer's event is taken for one of them. */
const SOURCE = '/millrace/rows';
/** A setting of the changing transaction: the number of the last event that it stored of a row. */
export const ROW_CHANGE = 'millrace.row_change';
/** A setting of the installing transaction: `on` where the function is new or another one. */
const RECONCILE = 'millrace.reconcile_columns';

/** Stands for the table in a statement that its own trigger function makes. */
const THIS_TABLE = 'millrace_this_table';

const TRIGGERS = [
  { event: 'insert', when: 'after', rows: 'referencing new table as new_rows' },
  { event: 'update', when: 'after', rows: 'referencing old table as old_rows new table as new_rows' },
  { event: 'delete', when: 'after', rows: 'referencing old table as old_rows' },
  // A truncated table has no transition table, so its keys are read before.
  { event: 'truncate', when: 'before', rows: '' },
] as const;

/** The entities of one table that have features over its columns. */
interface RecordedTable {
  readonly table: PgTable;
  readonly entities: readonly RecordedEntity[];
}

interface RecordedEntity {
  readonly entity: EntityDefinition;
  /** One for each column. */
  readonly sources: readonly FeatureSource[];
}

/** The tables whose columns features read, in the order of the features. */
function recordedTables(features: readonly FeatureDefinition[]): RecordedTable[] {
  const entities = Map.groupBy(
    features.filter(({ column }) => column !== undefined),
    ({ entity }) => entity,
  );
  const recorded = [...entities].map(([entity, own]): RecordedEntity => {
    const sources = new Map(
      own.flatMap(({ column }) => (column ? [[column.property, column] as const] : [])),
    );
    return { entity, sources: [...sources.values()].sort((a, b) => (a.property < b.property ? -1 : 1)) };
  });
  const tables = Map.groupBy(recorded, ({ entity }) => getTableUniqueName(entity.table));
  return [...tables.values()].flatMap((own) => {
    const [first] = own;
    return first === undefined ? [] : [{ table: first.entity.table, entities: own }];
  });
}

/** The names of the functions, for those that capture keeps when it drops the others. */
export function columnFunctions(features: readonly FeatureDefinition[]): string[] {
  return recordedTables(features).map(({ table }) => functionName(COLUMNS_PREFIX, table));
}

/**
 * The statements that install the triggers, to be run in the transaction of `captureStatements`. Where a function is new
 * or another one, they also store the rows as they are: their values are known from that moment on. For that they hold
 * the table's lock, which creating a trigger takes, until the transaction ends.
 */
export function columnStatements(features: readonly FeatureDefinition[]): string[] {
  return recordedTables(features).flatMap((of) => [
    noteChange(of),
    `create or replace function ${qualified(nameOf(of))}() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $columns$${body(of)}$columns$`,
    ...TRIGGERS.map(
      ({
        event,
        when,
        rows,
      }) => `create or replace trigger ${TRIGGER_PREFIX}_${event} ${when} ${event} on ${compiled(sql`${of.table}`)}
${rows} for each statement execute function ${qualified(nameOf(of))}()`,
    ),
    reconcile(of),
  ]);
}

/** Describes the triggers of all tables, so that a database can be compared with the declarations. */
export function columnTriggers(features: readonly FeatureDefinition[]): CapturedTrigger[] {
  return recordedTables(features).map((of) => ({
    table: compiled(sql`${of.table}`),
    functionName: nameOf(of),
    body: body(of),
    triggers: TRIGGERS.map(({ event }) => `${TRIGGER_PREFIX}_${event}`).sort(),
  }));
}

function nameOf({ table }: RecordedTable): string {
  return functionName(COLUMNS_PREFIX, table);
}

/**
 * The trigger function. An error while it reads the values, such as a dropped column, does not fail the writer's
 * statement: the rows are then recorded without values, so that no feature shows a value that may have changed.
 */
function body(of: RecordedTable): string {
  const find = (changes: SQL) => `
        select array_agg(listed.change) into found_changes from (${compiled(changes)}) as listed(change);`;
  const cases = (changes: ReturnType<typeof changedRows>) => `
      case tg_op
        when 'INSERT' then${find(changes.insert)}
        when 'UPDATE' then${find(changes.update)}
        when 'DELETE' then${find(changes.delete)}
        -- The search path has no schema of tables.
        else execute replace(${literal(`select array_agg(listed.change) from (${compiled(changes.truncate)}) as listed(change)`)}, ${literal(THIS_TABLE)}, tg_relid::regclass::text) into found_changes;
      end case;`;
  return `
declare
  found_changes jsonb[];
  last_stored bigint;
  noted_at timestamptz := clock_timestamp();
begin
  if current_setting(${literal(UNRECORDED)}, true) = 'on' then return null; end if;
  begin${cases(changedRows(of, true))}
  exception when others then
    raise warning 'millrace: the columns of a change of % are recorded as unknown: %', tg_table_name, sqlerrm;
    begin${cases(changedRows(of, false))}
    exception when others then
      raise warning 'millrace: a change of % is not recorded for features: %', tg_table_name, sqlerrm;
    end;
  end;
  ${store('unnest(found_changes)')}
  if last_stored is not null then
    perform set_config(${literal(ROW_CHANGE)}, last_stored::text, true);
  end if;
  return null;
end
`;
}

/** Stores changes as events with their outbox rows. `noted_at` and `last_stored` are variables of the block. */
function store(changes: string): string {
  return `with m_stored as (
    insert into ${compiled(sql`${events}`)} (source, id, type, data, occurred_at, recorded_at, batch)
    select ${literal(SOURCE)}, gen_random_uuid()::text, change ->> 'type', change - 'type', noted_at, noted_at, gen_random_uuid()
    from ${changes} as listed(change)
    returning seq
  ), m_pending as (
    insert into ${compiled(sql`${outbox}`)} (event_seq, tags) select seq, '{}'::text[] from m_stored order by seq
  )
  select max(seq) into last_stored from m_stored;`;
}

/** For each kind of statement, a query that returns the changes of rows; `null` rows if `withValues` is false. */
function changedRows({ entities }: RecordedTable, withValues: boolean) {
  const all = (select: (of: RecordedEntity) => SQL) => sql.join(entities.map(select), sql` union all `);
  const row = (of: RecordedEntity, name: string) => (withValues ? valuesOf(of, name) : sql`'null'::jsonb`);
  const gone = sql`'null'::jsonb`;
  const oldRows = sql.raw('old_rows');
  const newRows = sql.raw('new_rows');
  const change = (of: RecordedEntity, name: string, values: SQL) =>
    changeOf(of.entity, keyText(of.entity, name), values);
  return {
    insert: all((of) => sql`select ${change(of, 'changed', row(of, 'changed'))} from ${newRows} as changed`),
    delete: all((of) => sql`select ${change(of, 'prior', gone)} from ${oldRows} as prior`),
    truncate: all((of) => sql`select ${change(of, 'prior', gone)} from ${sql.raw(THIS_TABLE)} as prior`),
    // A row with another key is one that is gone and one that is new.
    update: all((of) => {
      const isPaired = sameKey(of.entity, 'prior', 'changed');
      const isOther = withValues ? sql`${row(of, 'prior')} <> ${row(of, 'changed')}` : sql`true`;
      return sql`select ${change(of, 'changed', row(of, 'changed'))} from ${newRows} as changed
        left join ${oldRows} as prior on ${isPaired}
        where ${firstKey(of.entity, 'prior')} is null or ${isOther}
        union all select ${change(of, 'prior', gone)} from ${oldRows} as prior
        where not exists (select from ${newRows} as changed where ${isPaired})`;
    }),
  };
}

function firstKey({ key }: EntityDefinition, row: string): SQL {
  return sql`${sql.raw(row)}.${sql.identifier(key.columns[0]?.column.name ?? '')}`;
}

function changeOf(entity: EntityDefinition, key: SQL, values: SQL): SQL {
  const type = sql.raw(`${literal(rowChangeType(entity))}::text`);
  return sql`jsonb_build_object('type', ${type}, 'key', ${key}, 'row', ${values})`;
}

/** The columns of a row as `parseRowChange` reads them. */
function valuesOf({ sources }: RecordedEntity, row: string): SQL {
  const members = sources.map(({ property, column, kind }) => {
    const value = sql`${sql.raw(row)}.${sql.identifier(column.name)}`;
    return sql`${sql.raw(`${literal(property)}::text`)}, ${storedValue(kind, value)}`;
  });
  return sql`jsonb_build_object(${sql.join(members, sql`, `)})`;
}

function storedValue(kind: FeatureSource['kind'], value: SQL): SQL {
  switch (kind) {
    case 'text':
      return sql`case when length(${value}::text) <= ${sql.raw(String(COLUMN_CHARACTERS_MAX))} then to_jsonb(${value}::text) end`;
    case 'moment':
      return sql`to_jsonb(floor(extract(epoch from ${value}) * 1000))`;
    case 'integer':
    case 'number':
    case 'boolean':
      return sql`to_jsonb(${value})`;
  }
}

/** Notes whether the function that is to be installed differs from the one that is. */
function noteChange(of: RecordedTable): string {
  return `select set_config(${literal(RECONCILE)}, case when exists (
  select from pg_proc p join pg_namespace n on n.oid = p.pronamespace
  where n.nspname = ${literal(schema.schemaName)} and p.proname = ${literal(nameOf(of))} and p.prosrc = ${literal(body(of))}
) then 'off' else 'on' end, true)`;
}

/** Stores what differs between the rows and what is known of them, in the bulk lane: it may be the whole table. */
function reconcile({ table, entities }: RecordedTable): string {
  const differences = entities.map((of) => {
    const { entity } = of;
    const present = sql`select ${keyText(entity, 'present')} as key, ${valuesOf(of, 'present')} as row from ${table} as present`;
    const type = sql.raw(literal(rowChangeType(entity)));
    const known = sql`select distinct on (e.data ->> 'key') e.data ->> 'key' as key, e.data -> 'row' as row
      from ${events} e where e.type = ${type} order by e.data ->> 'key', e.seq desc`;
    const values = sql`coalesce(now_there.row, 'null'::jsonb)`;
    return sql`select ${changeOf(entity, sql`coalesce(now_there.key, known.key)`, values)}
      from (${present}) as now_there full join (${known}) as known on now_there.key = known.key
      where ${values} <> coalesce(known.row, 'null'::jsonb)`;
  });
  return `do $columns$
declare
  last_stored bigint;
  noted_at timestamptz := clock_timestamp();
begin
  if current_setting(${literal(RECONCILE)}, true) is distinct from 'on' then return; end if;
  perform set_config(${literal(BULK)}, 'on', true);
  ${store(`(${compiled(sql.join(differences, sql` union all `))})`)}
end
$columns$`;
}
