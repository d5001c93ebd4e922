import { getTableColumns, type SQL, sql } from 'drizzle-orm';
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import type { PgColumn } from 'drizzle-orm/pg-core';
import * as z from 'zod';
import type { EntityDefinition } from '../../define/entity.ts';
import type { KeyInput, KeyPart } from '../../define/key.ts';
import { Failure } from '../../platform/failure.ts';
import { ownWrite } from './captured.ts';
import { isStillReferenced } from './connect.ts';
import { keyIs, keyNames, keyValues, sameKey } from './key-sql.ts';
import { deleteTags, insertTags, updateTags } from './list-tags.ts';
import { storedType } from './recordset.ts';
import { removalClock, removalLock, tombstones } from './row-effects.ts';
import * as millrace from './schema.ts';

/** A key by property of the entity's table. */
export type KeyValues = Readonly<Record<string, KeyPart>>;

/** What a write did, and the outbox row that names what it invalidates. */
export interface WrittenRow {
  readonly outboxId: number;
  readonly tags: readonly string[];
}

const Written = z.object({
  id: z.coerce.number().int(),
  created: z.union([z.boolean(), z.stringbool({ truthy: ['t', 'true'], falsy: ['f', 'false'] })]),
  tags: z.array(z.string()),
});

/**
 * Inserts or replaces one row and writes its outbox row, in one transaction. A new row invalidates its own tag and
 * its place in every list; a replaced one its own tag, the lists where its place changed, and what earlier changes
 * of it have not invalidated yet.
 */
export async function putEntity(
  db: NeonHttpDatabase,
  entity: EntityDefinition,
  writtenKey: KeyInput,
  values: Readonly<Record<string, unknown>>,
): Promise<WrittenRow & { readonly created: boolean }> {
  const key = entity.key.valuesOf(writtenKey);
  const columns: Record<string, PgColumn> = getTableColumns(entity.table);
  const entries = Object.entries(values).map(([property, value]) => {
    const column = columns[property];
    if (column === undefined)
      throw new Error(`The catalog writes "${property}", which its table does not have.`);
    return { name: sql.identifier(column.name), value: sql`${value}` };
  });
  const updatedAt = columns['updatedAt'];
  if (updatedAt !== undefined) entries.push({ name: sql.identifier(updatedAt.name), value: sql`now()` });
  // Events that happened before this write do not undo it.
  for (const clock of Object.values(entity.clocks))
    if (clock.columns.some(({ property }) => property in values))
      entries.push({ name: sql.identifier(clock.column.name), value: sql`now()` });
  const [, , { rows }] = await db.batch([
    db.execute(ownWrite()),
    db.execute(insertOrLock(entity, key, entries)),
    db.execute(replaceAndTell(entity, key, entries)),
  ]);
  const { id, tags, created } = Written.parse(rows[0]);
  return { created, outboxId: id, tags };
}

interface WrittenColumn {
  readonly name: ReturnType<typeof sql.identifier>;
  readonly value: SQL;
}

/** Set within the transaction of a write: whether its first statement inserted the row. */
const CREATED = sql.raw(`'millrace.created'`);

/**
 * Inserts the row, or locks the one that is there. `where false` replaces nothing, and the row is locked all the
 * same, also where a concurrent transaction has just inserted it. So whoever else writes it, the next statement,
 * whose snapshot is taken now, sees the row as it is until this transaction ends.
 */
function insertOrLock(entity: EntityDefinition, key: KeyValues, entries: readonly WrittenColumn[]): SQL {
  const names = keyNames(entity).map((name) => sql`${name}`);
  return sql`
    with inserted as (
      insert into ${entity.table} (${join([...names, ...entries.map(({ name }) => sql`${name}`)])})
      values (${join([...keyValues(entity, key), ...entries.map(({ value }) => value)])})
      on conflict (${join(names)}) do update set ${names[0]} = excluded.${names[0]} where false
      returning 1
    )
    select set_config(${CREATED}, (exists (select from inserted))::text, true)`;
}

/** Replaces the row unless it has just been inserted, and writes to the outbox what changed with it. */
function replaceAndTell(entity: EntityDefinition, key: KeyValues, entries: readonly WrittenColumn[]): SQL {
  return sql`
    with found as (
      select * from ${entity.table} where ${keyIs(entity, key)}
    ), created as (
      select * from found where current_setting(${CREATED})::boolean
    ), replaced as (
      update ${entity.table} set ${join(entries.map(({ name, value }) => sql`${name} = ${value}`))}
      where ${keyIs(entity, key)} and not current_setting(${CREATED})::boolean
      returning *
    )
    insert into ${millrace.outbox} (tags)
    select ${insertTags(entity, 'created')} from created
    union all
    select ${updateTags(entity, 'found', 'replaced')} || ${pendingTags(entity, key)} from replaced, found
    returning id, tags, current_setting(${CREATED})::boolean as created`;
}

/**
 * What earlier changes of the row are still to invalidate. A write that committed without an answer is sent again:
 * the second time it may change nothing, and yet its answer has to mean that both are invalidated.
 */
function pendingTags(entity: EntityDefinition, key: KeyValues): SQL {
  return sql`array(
    select distinct tag from ${millrace.outbox}, unnest(outbox.tags) as tag
    where relayed_at is null and outbox.tags @> array[${entity.row(key)}::text])`;
}

/**
 * Deletes one row and writes its outbox row with it: what the statement returns is the row as it was deleted. Where
 * events remove rows of the entity as well, those that happened before do not bring this one back.
 *
 * @returns `null` where there is no such row.
 * @throws Failure `still_referenced` where a foreign key forbids it.
 */
export async function deleteEntity(
  db: NeonHttpDatabase,
  entity: EntityDefinition,
  deletedKey: KeyInput,
): Promise<WrittenRow | null> {
  const key = entity.key.valuesOf(deletedKey);
  const isRemovable = removalClock(entity) !== undefined;
  const statement = sql`
    with deleted as (
      delete from ${entity.table} where ${keyIs(entity, key)} returning *
    )${isRemovable ? sql`, m_tombstones as (${tombstones(entity, 'deleted', sql`now()`)})` : sql``}
    insert into ${millrace.outbox} (tags) select ${deleteTags(entity, 'deleted')} from deleted
    returning id, tags`;
  try {
    const locks = isRemovable ? [db.execute(removalLock(entity, true))] : [];
    const results = await db.batch([db.execute(ownWrite()), ...locks, db.execute(statement)]);
    const rows = results.at(-1)?.rows ?? [];
    if (rows.length === 0) return null;
    const { id, tags } = Written.omit({ created: true }).parse(rows[0]);
    return { outboxId: id, tags };
  } catch (error) {
    if (!isStillReferenced(error)) throw error;
    const detail = `Other rows refer to this ${entity.name}; delete them first.`;
    throw new Failure('still_referenced', detail, { pointer: entity.key.columns[0]?.property ?? '' });
  }
}

function join(parts: readonly SQL[]): SQL {
  return sql.join([...parts], sql`, `);
}

/** Those of `keys` that no row has, as positions in it. */
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
