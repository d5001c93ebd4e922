import { getTableColumns, type SQL, sql } from 'drizzle-orm';
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import type { PgColumn } from 'drizzle-orm/pg-core';
import * as z from 'zod';
import type { EntityDefinition } from '../../define/entity.ts';
import { Failure } from '../../platform/failure.ts';
import { ownWrite } from './captured.ts';
import { isStillReferenced } from './connect.ts';
import { deleteTags, insertTags, updateTags } from './list-tags.ts';
import * as millrace from './schema.ts';

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
  key: string,
  values: Readonly<Record<string, unknown>>,
): Promise<WrittenRow & { readonly created: boolean }> {
  const columns: Record<string, PgColumn> = getTableColumns(entity.table);
  const entries = Object.entries(values).map(([property, value]) => {
    const column = columns[property];
    if (column === undefined)
      throw new Error(`The catalog writes "${property}", which its table does not have.`);
    return { name: sql.identifier(column.name), value: sql`${value}` };
  });
  const updatedAt = columns['updatedAt'];
  if (updatedAt !== undefined) entries.push({ name: sql.identifier(updatedAt.name), value: sql`now()` });
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
function insertOrLock(entity: EntityDefinition, key: string, entries: readonly WrittenColumn[]): SQL {
  const keyName = sql.identifier(entity.key.name);
  return sql`
    with inserted as (
      insert into ${entity.table} (${join([sql`${keyName}`, ...entries.map(({ name }) => sql`${name}`)])})
      values (${join([sql`${key}`, ...entries.map(({ value }) => value)])})
      on conflict (${keyName}) do update set ${keyName} = excluded.${keyName} where false
      returning 1
    )
    select set_config(${CREATED}, (exists (select from inserted))::text, true)`;
}

/** Replaces the row unless it has just been inserted, and writes to the outbox what changed with it. */
function replaceAndTell(entity: EntityDefinition, key: string, entries: readonly WrittenColumn[]): SQL {
  const keyName = sql.identifier(entity.key.name);
  return sql`
    with found as (
      select * from ${entity.table} where ${keyName} = ${key}
    ), created as (
      select * from found where current_setting(${CREATED})::boolean
    ), replaced as (
      update ${entity.table} set ${join(entries.map(({ name, value }) => sql`${name} = ${value}`))}
      where ${keyName} = ${key} and not current_setting(${CREATED})::boolean
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
function pendingTags(entity: EntityDefinition, key: string): SQL {
  return sql`array(
    select distinct tag from ${millrace.outbox}, unnest(outbox.tags) as tag
    where relayed_at is null and outbox.tags @> array[${entity.row(key)}::text])`;
}

/**
 * Deletes one row and writes its outbox row with it: what the statement returns is the row as it was deleted.
 *
 * @returns `null` where there is no such row.
 * @throws Failure `still_referenced` where a foreign key forbids it.
 */
export async function deleteEntity(
  db: NeonHttpDatabase,
  entity: EntityDefinition,
  key: string,
): Promise<WrittenRow | null> {
  const statement = sql`
    with deleted as (
      delete from ${entity.table} where ${sql.identifier(entity.key.name)} = ${key} returning *
    )
    insert into ${millrace.outbox} (tags) select ${deleteTags(entity, 'deleted')} from deleted
    returning id, tags`;
  try {
    const [, { rows }] = await db.batch([db.execute(ownWrite()), db.execute(statement)]);
    if (rows.length === 0) return null;
    const { id, tags } = Written.omit({ created: true }).parse(rows[0]);
    return { outboxId: id, tags };
  } catch (error) {
    if (!isStillReferenced(error)) throw error;
    const detail = `Other rows refer to this ${entity.name}; delete them first.`;
    throw new Failure('still_referenced', detail, { pointer: 'key' });
  }
}

function join(parts: readonly SQL[]): SQL {
  return sql.join([...parts], sql`, `);
}

/** Those of `keys` that no row has. */
export async function missingKeys(
  db: NeonHttpDatabase,
  entity: EntityDefinition,
  keys: readonly string[],
): Promise<string[]> {
  if (keys.length === 0) return [];
  const { rows } = await db.execute(sql`
    select wanted.key from jsonb_array_elements_text(${JSON.stringify(keys)}::jsonb) as wanted(key)
    where not exists (select 1 from ${entity.table} where ${entity.key} = wanted.key)`);
  return z
    .array(z.object({ key: z.string() }))
    .parse(rows)
    .map(({ key }) => key);
}
