import { getTableColumns, type SQL, sql } from 'drizzle-orm';
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import * as z from 'zod';
import { EVENT_SEQ } from '../../define/effect.ts';
import { type EntityDefinition, type HistoryDefinition, tagsOfAppend } from '../../define/entity.ts';
import type { KeyPart } from '../../define/key.ts';
import { ownWrite } from './captured.ts';
import { keyIs, ownerColumns } from './key-sql.ts';
import { lineageName } from './lineage-events.ts';
import * as millrace from './schema.ts';

/** The column of a history's table with the number of the row's event. */
export const SEQ_COLUMN = sql.raw(EVENT_SEQ);

/** Rows of a history that one step removes. */
const ROWS_MAX = 1_000;
/** Rows of the outbox that one step looks at. */
const OUTBOX_ROWS_MAX = 20_000;

/** The key of a row, as text and by property. */
interface SoughtKey {
  readonly entity: EntityDefinition;
  readonly key: string;
  readonly values: Readonly<Record<string, KeyPart>>;
}

/** Histories with an owner of the entity, each with the condition on its rows. */
function ownedBy(histories: readonly HistoryDefinition[], { entity, values }: SoughtKey) {
  return histories.flatMap((history) =>
    history.owners.flatMap((owner) => {
      if (owner.entity.name !== entity.name) return [];
      const columns = ownerColumns(owner, history.table);
      const equal = entity.key.columns.map(
        ({ property }, at) => sql`h.${columns[at]} = ${String(values[property])}`,
      );
      return [{ history, condition: sql.join(equal, sql` and `) }];
    }),
  );
}

/** Rows of histories that belong to the key, by table. */
export async function countOwned(
  db: NeonHttpDatabase,
  histories: readonly HistoryDefinition[],
  sought: SoughtKey,
): Promise<Record<string, number>> {
  const each = ownedBy(histories, sought).map(
    ({ history: { table }, condition }) =>
      sql`select ${lineageName(table)}::text as name, count(*) as n from ${table} h where ${condition}`,
  );
  if (each.length === 0) return {};
  const { rows } = await db.execute(sql.join(each, sql` union all `));
  return byName(rows);
}

/** Rows of a name and a number, without those of zero. */
export function byName(rows: readonly unknown[]): Record<string, number> {
  const counted = z.array(z.object({ name: z.string(), n: z.coerce.number().int() })).parse(rows);
  return Object.fromEntries(counted.flatMap(({ name, n }) => (n > 0 ? [[name, n]] : [])));
}

/**
 * Removes rows of histories that belong to the key and whose events are not in the history any more, at most `ROWS_MAX` of
 * each table, with an outbox row that invalidates what they were shown in.
 *
 * @returns how many were removed, by table.
 */
export async function removeOwned(
  db: NeonHttpDatabase,
  histories: readonly HistoryDefinition[],
  sought: SoughtKey,
): Promise<Record<string, number>> {
  const removed: Record<string, number> = {};
  for (const { history, condition } of ownedBy(histories, sought)) {
    const { table } = history;
    const { rows } = await db.execute(sql`
      select to_jsonb(h) as row, h.ctid::text as place from ${table} h where ${condition} limit ${ROWS_MAX}`);
    const found = z
      .array(z.object({ row: z.record(z.string(), z.unknown()), place: z.string() }))
      .parse(rows);
    if (found.length === 0) continue;
    const tags = found.flatMap(({ row }) => tagsOfAppend(history, byProperty(history, row)));
    const places = JSON.stringify(found.map(({ place }) => place));
    const results = await db.batch([
      db.execute(ownWrite()),
      db.execute(sql`
        with gone as (
          delete from ${table} h where h.ctid in
            (select value::tid from jsonb_array_elements_text(${places}::jsonb)) and ${condition}
          returning 1
        ) select count(*) as n from gone`),
      db.execute(insertTags([...new Set(tags)])),
    ]);
    const [gone] = results[1].rows;
    removed[lineageName(table)] = z.object({ n: z.coerce.number().int() }).parse(gone).n;
  }
  return removed;
}

function insertTags(tags: readonly string[]): SQL {
  return sql`
    insert into ${millrace.outbox} (tags)
    select array(select value from jsonb_array_elements_text(${JSON.stringify(tags)}::jsonb))`;
}

/** A row with the names of its table's columns, by property. */
function byProperty({ table }: HistoryDefinition, row: Readonly<Record<string, unknown>>) {
  return Object.fromEntries(
    Object.entries(getTableColumns(table)).map(([property, { name }]) => [property, row[name]]),
  );
}

/** Whether JSON in a column has every part of the key as a value: as a text or, if it looks like one, as a number. */
function hasKey(column: SQL, { entity, values }: SoughtKey): SQL {
  const each = entity.key.columns.map(({ property }) => {
    const text = String(values[property]);
    const isNumber = /^-?\d{1,15}$/.test(text);
    const path = isNumber ? '$.** ? (@ == $text || @ == $number)' : '$.** ? (@ == $text)';
    const vars = JSON.stringify({ text, ...(isNumber ? { number: Number(text) } : {}) });
    return sql`jsonb_path_exists(${column}, ${sql.raw(`'${path}'`)}, ${vars}::jsonb, true)`;
  });
  return sql.join(each, sql` and `);
}

/** What Millrace keeps of the key beside events, rows of histories and the outbox. */
export interface KeptOfKey {
  /** The row of the entity itself: 0 or 1. */
  readonly entityRow: number;
  /** When such a row was removed, which is recorded with the key. */
  readonly removals: number;
  /** Entries of quarantine and dead letters that have the key as a value. */
  readonly quarantine: number;
  readonly predictions: number;
  /** Predictions for others whose features have the key as a value. */
  readonly mentions: number;
}

const Counted = z.object({
  entityRow: z.coerce.number().int(),
  removals: z.coerce.number().int(),
  quarantine: z.coerce.number().int(),
  predictions: z.coerce.number().int(),
  mentions: z.coerce.number().int(),
});

export async function countKept(db: NeonHttpDatabase, sought: SoughtKey): Promise<KeptOfKey> {
  const { entity, key, values } = sought;
  const isOwn = sql`p.entity = ${entity.name} and p.key = ${key}`;
  const { rows } = await db.execute(sql`select
    (select count(*) from ${entity.table} where ${keyIs(entity, values)}) as "entityRow",
    (select count(*) from ${millrace.removedRows} d where d.entity = ${entity.name} and d.key = ${key}) as removals,
    (select count(*) from ${millrace.quarantine} q where ${hasKey(sql`q.raw`, sought)}) as quarantine,
    (select count(*) from ${millrace.lineagePredictions} p where ${isOwn}) as predictions,
    (select count(*) from ${millrace.lineagePredictions} p
      where not coalesce(${isOwn}, false) and ${hasKey(sql`p.features`, sought)}) as mentions`);
  return Counted.parse(rows[0]);
}

/**
 * Removes what Millrace keeps of the key beside events, rows and the outbox. The row of the entity itself is removed before,
 * by `deleteEntity`. Of predictions for others, the features are removed.
 */
export async function removeKept(db: NeonHttpDatabase, sought: SoughtKey): Promise<void> {
  const { entity, key } = sought;
  await db.batch([
    db.execute(sql`delete from ${millrace.removedRows} d where d.entity = ${entity.name} and d.key = ${key}`),
    db.execute(sql`delete from ${millrace.quarantine} q where ${hasKey(sql`q.raw`, sought)}`),
    db.execute(
      sql`delete from ${millrace.lineagePredictions} p where p.entity = ${entity.name} and p.key = ${key}`,
    ),
    db.execute(
      sql`update ${millrace.lineagePredictions} p set features = null where ${hasKey(sql`p.features`, sought)}`,
    ),
  ]);
}

/**
 * Looks at the next rows of the outbox. One names the key by the tag of the entity's row, of its part of a history, or of
 * its features. The tags of places in a list, which have the key encoded, are in one row of the outbox with the first.
 *
 * @param isRemoving removes the tags of those that are relayed; others count as `waiting`.
 */
export async function sweepOutbox(
  db: NeonHttpDatabase,
  { entity, key }: SoughtKey,
  { after, isRemoving }: { readonly after: number; readonly isRemoving: boolean },
): Promise<{ readonly named: number; readonly waiting: number; readonly last: number | null }> {
  const own = `${entity.name}:${key}`;
  const isNamed = sql`exists (select from unnest(o.tags) as tag
    where tag = ${own} or right(tag, ${own.length + 1}) in (${`@${own}`}, ${`:${own}`}))`;
  const { rows } = await db.execute(sql`
    with m_page as materialized (
      select o.id, o.relayed_at is not null as is_relayed, ${isNamed} as is_named
      from ${millrace.outbox} o where o.id > ${after} order by o.id limit ${OUTBOX_ROWS_MAX}
    ), m_removed as (
      update ${millrace.outbox} set tags = '{}' where ${isRemoving ? sql`true` : sql`false`}
        and id in (select id from m_page where is_named and is_relayed)
      returning 1
    )
    select count(*) filter (where is_named) as named, count(*) filter (where is_named and not is_relayed) as waiting,
      max(id) as last, (select count(*) from m_removed) as removed from m_page`);
  return z
    .object({
      named: z.coerce.number().int(),
      waiting: z.coerce.number().int(),
      last: z.coerce.number().int().nullable(),
    })
    .parse(rows[0]);
}
