import { getTableColumns, type SQL, sql } from 'drizzle-orm';
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import type { PgColumn } from 'drizzle-orm/pg-core';
import * as z from 'zod';
import type { EntityDefinition } from '../../catalog/define/entity.ts';

export interface EntityWriteResult {
  readonly created: boolean;
  readonly outboxId: number;
  readonly tags: readonly string[];
}

const Written = z.object({
  id: z.coerce.number().int(),
  created: z.union([z.boolean(), z.stringbool({ truthy: ['t', 'true'], falsy: ['f', 'false'] })]),
  tags: z.array(z.string()),
});

/**
 * Inserts or replaces one row and writes its outbox row, in one statement and so in one transaction.
 * A new row also invalidates the collection; a changed one only the answers that hold it.
 */
export async function putEntity(
  db: NeonHttpDatabase,
  entity: EntityDefinition,
  key: string,
  values: Readonly<Record<string, unknown>>,
): Promise<EntityWriteResult> {
  const columns: Record<string, PgColumn> = getTableColumns(entity.table);
  const entries = Object.entries(values).map(([property, value]) => {
    const column = columns[property];
    if (column === undefined)
      throw new Error(`The catalog writes "${property}", which its table does not have.`);
    return { name: sql.identifier(column.name), value: sql`${value}` };
  });
  const updatedAt = columns['updatedAt'];
  if (updatedAt !== undefined) entries.push({ name: sql.identifier(updatedAt.name), value: sql`now()` });

  const keyName = sql.identifier(entity.key.name);
  const { rows } = await db.execute(sql`
    with written as (
      insert into ${entity.table} (${join([sql`${keyName}`, ...entries.map(({ name }) => sql`${name}`)])})
      values (${join([sql`${key}`, ...entries.map(({ value }) => value)])})
      on conflict (${keyName}) do update set ${join(entries.map(({ name }) => sql`${name} = excluded.${name}`))}
      returning (xmax = 0) as created
    )
    insert into outbox (tags)
    select case when created then array[${entity.row(key)}::text, ${entity.collection}::text]
                else array[${entity.row(key)}::text] end
    from written
    returning id, tags, (select created from written) as created`);
  const { id, tags, created } = Written.parse(rows[0]);
  return { created, outboxId: id, tags };
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
