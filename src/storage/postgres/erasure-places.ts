import { getTableColumns, type SQL, sql } from 'drizzle-orm';
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import { getTableConfig, type PgTable } from 'drizzle-orm/pg-core';
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
/** Pages of 8 KB of a table that one step looks at: some ten thousand rows, in a tenth of a second. */
const PAGES_MAX = 500;
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

/** The row of the entity itself, and the times of its removals, which are recorded with the key. */
export interface OwnRow {
  /** 0 or 1. */
  readonly entityRow: number;
  readonly removals: number;
}

export async function countOwnRow(db: NeonHttpDatabase, { entity, key, values }: SoughtKey): Promise<OwnRow> {
  const { rows } = await db.execute(sql`select
    (select count(*) from ${entity.table} where ${keyIs(entity, values)}) as "entityRow",
    (select count(*) from ${millrace.removedRows} d where d.entity = ${entity.name} and d.key = ${key}) as removals`);
  return z.object({ entityRow: z.coerce.number().int(), removals: z.coerce.number().int() }).parse(rows[0]);
}

export async function removeRemovals(db: NeonHttpDatabase, { entity, key }: SoughtKey): Promise<void> {
  await db.execute(
    sql`delete from ${millrace.removedRows} d where d.entity = ${entity.name} and d.key = ${key}`,
  );
}

/** Pages of a table from `from` on, which one step looks at; JSON in it has no index for a value at any place. */
export interface TablePages {
  readonly from: number;
  readonly isRemoving: boolean;
}

/** What was found in some pages, and where to go on; null after the last page. */
export interface PagesSeen {
  readonly found: number;
  readonly mentions: number;
  readonly next: number | null;
}

const Seen = z.object({
  found: z.coerce.number().int(),
  mentions: z.coerce.number().int(),
  pages: z.coerce.number().int(),
});

function seen(row: unknown, { from }: TablePages): PagesSeen {
  const { found, mentions, pages } = Seen.parse(row);
  return { found, mentions, next: from + PAGES_MAX < pages ? from + PAGES_MAX : null };
}

/** The rows of a table `r` in these pages, and the number of pages that it has. */
function pagesOf(table: PgTable, { from }: TablePages) {
  const { schema = 'public', name } = getTableConfig(table);
  const tid = (page: number) => sql`${`(${page},0)`}::tid`;
  return {
    within: sql`r.ctid >= ${tid(from)} and r.ctid < ${tid(from + PAGES_MAX)}`,
    count: sql`pg_relation_size(${`${schema}.${name}`}::regclass) / current_setting('block_size')::integer`,
  };
}

/** Entries of quarantine, dead letters included, that have the key as a value. */
export async function sweepQuarantine(
  db: NeonHttpDatabase,
  sought: SoughtKey,
  pages: TablePages,
): Promise<PagesSeen> {
  const { within, count } = pagesOf(millrace.quarantine, pages);
  const isFound = sql`${within} and ${hasKey(sql`r.raw`, sought)}`;
  const { rows } = await db.execute(sql`
    with m_removed as (
      delete from ${millrace.quarantine} r where ${pages.isRemoving ? sql`true` : sql`false`} and ${isFound}
    )
    select (select count(*) from ${millrace.quarantine} r where ${isFound}) as found, 0 as mentions, ${count} as pages`);
  return seen(rows[0], pages);
}

/**
 * Recorded predictions for the key; and as `mentions` those for others whose features have the key as a value. Of these only
 * the features are removed.
 */
export async function sweepPredictions(
  db: NeonHttpDatabase,
  sought: SoughtKey,
  pages: TablePages,
): Promise<PagesSeen> {
  const { entity, key } = sought;
  const { within, count } = pagesOf(millrace.lineagePredictions, pages);
  const isOwn = sql`coalesce(r.entity = ${entity.name} and r.key = ${key}, false)`;
  const isMention = sql`not ${isOwn} and ${hasKey(sql`r.features`, sought)}`;
  const isRemoving = pages.isRemoving ? sql`true` : sql`false`;
  const { rows } = await db.execute(sql`
    with m_removed as (
      delete from ${millrace.lineagePredictions} r where ${isRemoving} and ${within} and ${isOwn}
    ), m_changed as (
      update ${millrace.lineagePredictions} r set features = null where ${isRemoving} and ${within} and ${isMention}
    )
    select count(*) filter (where ${isOwn}) as found, count(*) filter (where ${isMention}) as mentions,
      (select ${count}) as pages
    from ${millrace.lineagePredictions} r where ${within}`);
  return seen(rows[0], pages);
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
