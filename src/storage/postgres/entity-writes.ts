import { getTableColumns, type SQL, sql } from 'drizzle-orm';
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import type { PgColumn } from 'drizzle-orm/pg-core';
import * as z from 'zod';
import type { EntityDefinition } from '../../define/entity.ts';
import type { KeyInput, KeyPart } from '../../define/key.ts';
import { rowChangeType } from '../../define/row-change.ts';
import { Failure } from '../../platform/failure.ts';
import { ownWrite, unrecorded } from './captured.ts';
import { ROW_CHANGE } from './column-history.ts';
import { isStillReferenced } from './connect.ts';
import { eventOf } from './history.ts';
import { keyIs, keyNames, keyValues, sameKey } from './key-sql.ts';
import { deleteTags, insertTags, updateTags } from './list-tags.ts';
import type { ChangedEvent } from './outbox.ts';
import { storedType } from './recordset.ts';
import { removalClock, removalLock, tombstones } from './row-removals.ts';
import * as millrace from './schema.ts';

/** A key by property of the entity's table. */
export type KeyValues = Readonly<Record<string, KeyPart>>;

/** The result of a write: its outbox row and the tags that it invalidates. */
export interface WrittenRow {
  readonly outboxId: number;
  readonly tags: readonly string[];
  /** The newest change of the columns that features read, if they may not have it yet. */
  readonly change?: ChangedEvent | undefined;
}

/**
 * The condition of a write (RFC 9110 §13), which its own transaction decides. A version is the id of the transaction
 * that wrote the row (`xmin`).
 */
export interface Precondition {
  /** The row exists (`*`), or exists in one of these versions. */
  readonly match?: '*' | readonly string[];
  /** The row does not exist (`*`), or exists in none of these versions. */
  readonly noneMatch?: '*' | readonly string[];
}

const Written = z.object({
  id: z.coerce.number().int(),
  version: z.string(),
  created: z.union([z.boolean(), z.stringbool({ truthy: ['t', 'true'], falsy: ['f', 'false'] })]),
  tags: z.array(z.string()).transform((tags) => [...new Set(tags)]),
});

/**
 * Inserts or replaces one row and writes its outbox row, in one transaction. An inserted row invalidates its own tag and
 * its place in every list. A replaced row invalidates its own tag, the lists where its place changed, and the tags of
 * its earlier changes that are still pending.
 *
 * @param isRecorded whether features read columns of the entity.
 * @returns null if the precondition fails; then nothing is written.
 */
export async function putEntity(
  db: NeonHttpDatabase,
  entity: EntityDefinition,
  writtenKey: KeyInput,
  values: Readonly<Record<string, unknown>>,
  precondition: Precondition = {},
  isRecorded = false,
): Promise<(WrittenRow & { readonly created: boolean; readonly version: string }) | null> {
  const key = entity.key.valuesOf(writtenKey);
  const columns: Record<string, PgColumn> = getTableColumns(entity.table);
  const entries = Object.entries(values).map(([property, value]) => {
    const column = columns[property];
    if (column === undefined)
      throw new Error(
        `The catalog writes "${property}", which the table of "${entity.name}" does not have. Add the column or remove the property.`,
      );
    return { name: sql.identifier(column.name), value: sql`${value}` };
  });
  const updatedAt = columns['updatedAt'];
  if (updatedAt !== undefined) entries.push({ name: sql.identifier(updatedAt.name), value: sql`now()` });
  // Sets the clocks, so that an event that happened before this write does not undo it.
  for (const clock of Object.values(entity.clocks))
    if (clock.columns.some(({ property }) => property in values))
      entries.push({ name: sql.identifier(clock.column.name), value: sql`now()` });
  const [, , { rows }, recorded] = await db.batch([
    db.execute(ownWrite()),
    db.execute(insertOrLock(entity, key, entries, precondition)),
    db.execute(replaceAndInvalidate(entity, key, entries, precondition)),
    ...(isRecorded ? [db.execute(newestChange(entity, writtenKey))] : []),
  ]);
  if (rows.length === 0) return null;
  const { id, tags, created, version } = Written.parse(rows[0]);
  return { created, version, outboxId: id, tags, change: changeFrom(recorded?.rows) };
}

interface WrittenColumn {
  readonly name: ReturnType<typeof sql.identifier>;
  readonly value: SQL;
}

/** A setting of the write's transaction: whether its first statement inserted the row. */
const CREATED = sql.raw(`'millrace.created'`);

/**
 * Inserts the row, or locks the existing one. `where false` makes the update change nothing, but Postgres locks the row
 * even if a concurrent transaction has just inserted it. So the next statement, whose snapshot is taken after the lock,
 * sees the row as it stays until this transaction ends.
 */
function insertOrLock(
  entity: EntityDefinition,
  key: KeyValues,
  entries: readonly WrittenColumn[],
  { match, noneMatch }: Precondition,
): SQL {
  if (match !== undefined)
    return sql`
      with locked as (select 1 from ${entity.table} where ${keyIs(entity, key)} for update)
      select set_config(${CREATED}, 'false', true), (select count(*) from locked)`;
  const names = keyNames(entity).map((name) => sql`${name}`);
  return sql`
    with inserted as (
      insert into ${entity.table} (${join([...names, ...entries.map(({ name }) => sql`${name}`)])})
      values (${join([...keyValues(entity, key), ...entries.map(({ value }) => value)])})
      on conflict (${join(names)}) ${
        noneMatch === '*'
          ? sql`do nothing`
          : sql`do update set ${names[0]} = excluded.${names[0]} where false`
      }
      returning 1
    )
    select set_config(${CREATED}, (exists (select from inserted))::text, true)`;
}

/** Replaces the row unless it was just inserted, and writes the outbox row of what changed. */
function replaceAndInvalidate(
  entity: EntityDefinition,
  key: KeyValues,
  entries: readonly WrittenColumn[],
  precondition: Precondition,
): SQL {
  return sql`
    with found as (
      select * from ${entity.table} where ${keyIs(entity, key)}
    ), created as (
      select * from found where current_setting(${CREATED})::boolean
    ), replaced as (
      update ${entity.table} set ${join(entries.map(({ name, value }) => sql`${name} = ${value}`))}
      where ${keyIs(entity, key)} and not current_setting(${CREATED})::boolean
        and ${permitsChange(entity, precondition)}
      returning *
    )
    insert into ${millrace.outbox} (tags)
    select ${insertTags(entity, 'created')} from created
    union all
    select ${updateTags(entity, 'found', 'replaced')} || ${pendingTags(entity, key)} from replaced, found
    returning id, tags, current_setting(${CREATED})::boolean as created, ${OWN_VERSION} as version`;
}

/** The version of the rows that this transaction writes. */
const OWN_VERSION = sql`pg_current_xact_id()::xid::text`;

/** Whether the precondition lets an existing row be replaced or deleted. */
function permitsChange(entity: EntityDefinition, { match, noneMatch }: Precondition): SQL {
  if (noneMatch === '*') return sql`false`;
  const isOneOf = (versions: readonly string[]) =>
    sql`${entity.table}.xmin::text in (select jsonb_array_elements_text(${JSON.stringify(versions)}::jsonb))`;
  const conditions = [
    ...(match === undefined || match === '*' ? [] : [isOneOf(match)]),
    ...(noneMatch === undefined ? [] : [sql`not ${isOneOf(noneMatch)}`]),
  ];
  return conditions.length === 0 ? sql`true` : sql.join(conditions, sql` and `);
}

/** The version of a row; null if there is no such row. */
export async function rowVersion(
  db: NeonHttpDatabase,
  entity: EntityDefinition,
  key: KeyInput,
): Promise<string | null> {
  const { rows } = await db.execute(sql`
    select xmin::text as version from ${entity.table} where ${keyIs(entity, entity.key.valuesOf(key))}`);
  return rows[0] === undefined ? null : Written.pick({ version: true }).parse(rows[0]).version;
}

/**
 * The tags of earlier changes of the row that are still pending. A client repeats a write whose answer it lost. The second
 * write may change nothing, but its answer has to mean that both writes are invalidated.
 */
function pendingTags(entity: EntityDefinition, key: KeyValues): SQL {
  return sql`array(
    select distinct tag from ${millrace.outbox}, unnest(outbox.tags) as tag
    where relayed_at is null and outbox.tags @> array[${entity.row(key)}::text])`;
}

/**
 * Deletes one row and writes its outbox row, with the tags of the row as it was. If events also remove rows of the
 * entity, an event that happened before this deletion does not bring the row back.
 *
 * If there is no such row, it invalidates the row's tag and those of its pending changes: a client repeats a deletion
 * whose answer it lost, and the answer to the second one has to mean that the first one is invalidated.
 *
 * @param recording `read` where features read columns of the entity, and `off` for an erasure, of which they are not told.
 * @returns null if the precondition fails; then nothing is deleted.
 * @throws Failure `still_referenced` if a foreign key forbids the deletion.
 */
export async function deleteEntity(
  db: NeonHttpDatabase,
  entity: EntityDefinition,
  deletedKey: KeyInput,
  precondition: Precondition = {},
  recording: 'on' | 'read' | 'off' = 'on',
): Promise<WrittenRow | null> {
  const key = entity.key.valuesOf(deletedKey);
  const isRemovable = removalClock(entity) !== undefined;
  const isAbsent = sql`not exists (select from ${entity.table} where ${keyIs(entity, key)})`;
  const statement = sql`
    with deleted as (
      delete from ${entity.table} where ${keyIs(entity, key)} and ${permitsChange(entity, precondition)} returning *
    )${isRemovable ? sql`, m_tombstones as (${tombstones(entity, 'deleted', sql`now()`)})` : sql``}
    insert into ${millrace.outbox} (tags)
    select ${deleteTags(entity, 'deleted')} || ${pendingTags(entity, key)} from deleted
    union all
    select array[${entity.row(key)}::text] || ${pendingTags(entity, key)}
    where ${precondition.match === undefined ? isAbsent : sql`false`}
    returning id, tags`;
  try {
    const locks = isRemovable ? [db.execute(removalLock(entity, true))] : [];
    const before = [...(recording === 'off' ? [db.execute(unrecorded())] : []), ...locks];
    const seeks = recording === 'read' ? [db.execute(newestChange(entity, deletedKey))] : [];
    const results = await db.batch([db.execute(ownWrite()), ...before, db.execute(statement), ...seeks]);
    const rows = results[before.length + 1]?.rows ?? [];
    if (rows.length === 0) return null;
    const { id, tags } = Written.pick({ id: true, tags: true }).parse(rows[0]);
    const change = recording === 'read' ? changeFrom(results.at(-1)?.rows) : undefined;
    return { outboxId: id, tags, change };
  } catch (error) {
    if (!isStillReferenced(error)) throw error;
    const detail = `Other rows refer to this ${entity.name}; delete them first.`;
    throw new Failure('still_referenced', detail, { pointer: entity.key.columns[0]?.property ?? '' });
  }
}

/**
 * The change that this transaction has recorded of the row. If it has changed nothing, the newest one that is pending: a
 * client repeats a write whose answer it lost, and the answer has to mean that the features have both.
 */
function newestChange(entity: EntityDefinition, key: KeyInput): SQL {
  const type = rowChangeType(entity);
  const recorded = sql`nullif(current_setting(${sql.raw(`'${ROW_CHANGE}'`)}, true), '')::bigint`;
  return sql`
    select seq, type, extract(epoch from occurred_at) * 1000 as occurred_at_ms, data from ${millrace.events}
    where type = ${type} and seq = coalesce(${recorded}, (
      select max(e.seq) from ${millrace.outbox} o join ${millrace.events} e on e.seq = o.event_seq
      where o.relayed_at is null and e.type = ${type} and e.data ->> 'key' = ${entity.key.textOf(key)}))`;
}

function changeFrom(rows: readonly unknown[] | undefined): ChangedEvent | undefined {
  return rows?.[0] === undefined ? undefined : eventOf(rows[0]);
}

function join(parts: readonly SQL[]): SQL {
  return sql.join([...parts], sql`, `);
}

/** The positions in `keys` of the keys that no row has. */
export async function missingKeys(
  db: NeonHttpDatabase,
  entity: EntityDefinition,
  keys: readonly KeyValues[],
): Promise<number[]> {
  if (keys.length === 0) return [];
  const json = keys.map((key, position) => ({
    millrace_position: position,
    ...Object.fromEntries(
      entity.key.columns.map(({ property, column }) => [column.name, String(key[property])]),
    ),
  }));
  const types = entity.key.columns.map(
    ({ column }) => sql`${sql.identifier(column.name)} ${sql.raw(storedType(column))}`,
  );
  const { rows } = await db.execute(sql`
    select wanted.millrace_position from jsonb_to_recordset(${JSON.stringify(json)}::jsonb)
      as wanted(millrace_position integer, ${join(types)})
    where not exists (select 1 from ${entity.table} as present where ${sameKey(entity, 'present', 'wanted')})
    order by 1`);
  return z
    .array(z.object({ millrace_position: z.coerce.number().int() }))
    .parse(rows)
    .map(({ millrace_position: position }) => position);
}
