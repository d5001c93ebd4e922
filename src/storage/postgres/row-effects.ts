import { getTableColumns, type SQL, sql } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';
import type { ClockDefinition } from '../../define/clock.ts';
import { insertedRow, type RowEffect, type StoredRow } from '../../define/effect.ts';
import type { EntityDefinition } from '../../define/entity.ts';
import { keyNames, sameKey } from './key-sql.ts';
import { deleteTags, insertTags, updateTags } from './list-tags.ts';
import {
  byColumns,
  distinctRecords,
  type EventRow,
  type ExtraColumn,
  freshEvents,
  recordset,
  storedType,
} from './recordset.ts';
import { keyList, notRemoved, removalClock, removalLock, tombstones } from './row-removals.ts';
import * as millrace from './schema.ts';

/**
 * The effects of events on rows of entities, as statements of the transaction that stores the events. Each statement
 * joins the effects to the events that are new in this transaction (`freshEvents`), so that a duplicate has no effect. It also writes
 * the outbox rows of its changes, because only the database knows which rows changed.
 *
 * Statements of one entity, in order:
 * 1. a lock that keeps removals and inserts of other transactions apart (`removalLock`);
 * 2. removals, with a tombstone for each, so that an earlier event that arrives later does not restore the row;
 * 3. inserts of missing rows, one statement for each set of columns;
 * 4. a lock of the rows to update, in the order of their keys;
 * 5. one update that folds all other effects of the events on each row.
 *
 * Names of common table expressions begin with `m_`, because they hide tables of the same name.
 */

/** An effect with the event that it comes from, and its position among that event's effects. */
export interface EventEffect {
  readonly source: string;
  readonly id: string;
  readonly line: number;
  readonly effect: RowEffect;
}

type Writing = Extract<RowEffect, { kind: 'set' | 'upsert' | 'increment' }>;

/**
 * The statements of all entities, ordered by entity name: transactions that lock the same rows lock them in the same
 * order.
 */
export function rowEffectStatements(effects: readonly EventEffect[], batch: string): SQL[] {
  const ofEntity = Map.groupBy(effects, ({ effect }) => effect.entity);
  return [...ofEntity]
    .sort(([a], [b]) => (a.name < b.name ? -1 : 1))
    .flatMap(([entity, own]) => statementsOf(entity, own, batch));
}

function statementsOf(entity: EntityDefinition, effects: readonly EventEffect[], batch: string): SQL[] {
  const removals = effects.filter(({ effect }) => effect.kind === 'remove').map(asRow);
  const writes = effects.filter(({ effect }) => isWriting(effect));
  return [
    ...(removalClock(entity) === undefined ? [] : [removalLock(entity, removals.length > 0)]),
    ...(removals.length === 0 ? [] : [removeRows(entity, removals, batch)]),
    ...insertStatements(entity, effects, batch),
    ...(writes.length === 0 ? [] : [lockRows(entity, writes.map(asRow)), updateRows(entity, writes, batch)]),
  ];
}

function isWriting(effect: RowEffect): effect is Writing {
  return effect.kind === 'set' || effect.kind === 'upsert' || effect.kind === 'increment';
}

/** The key of an effect's row, and the columns that the effect writes other than increments. */
function asRow({ source, id, line, effect }: EventEffect): EventRow {
  const row = 'row' in effect ? effect.row : effect.key;
  return { source, id, line, row };
}

function removeRows(entity: EntityDefinition, rows: readonly EventRow[], batch: string): SQL {
  const clock = removalClock(entity);
  if (clock === undefined)
    throw new Error(`Rows of "${entity.name}" have no clock, so no event removes them.`);
  const set = recordset(entity.table, rows);
  const at = sql`t.${sql.identifier(clock.column.name)}`;
  return sql`
    with m_gone as (
      select ${set.values}, max(e.occurred_at) as m_at from ${set.from} ${freshEvents(batch)}
      group by ${keyList(entity, 'r')}
    ), m_tombstones as (
      ${tombstones(entity, 'm_gone', sql`m_gone.m_at`)}
    ), m_deleted as (
      delete from ${entity.table} as t using m_gone
      where ${sameKey(entity, 't', 'm_gone')} and (${at} is null or ${at} <= m_gone.m_at)
      returning t.*
    )
    insert into ${millrace.outbox} (batch, tags) select ${batch}::uuid, ${deleteTags(entity, 'm_deleted')} from m_deleted`;
}

/** A row to insert if it is missing. `clocks` are the clocks that it sets to the time of its event. */
type InsertedRow = EventRow & { readonly clocks: readonly ClockDefinition[] };

/** If several effects would insert one row, the first stored one inserts it, with the columns that it names. */
function insertStatements(entity: EntityDefinition, effects: readonly EventEffect[], batch: string): SQL[] {
  const rows = effects.flatMap(({ effect, ...of }): InsertedRow[] => {
    const row = insertedRow(effect);
    if (row === undefined) return [];
    return [{ ...of, row, clocks: effect.kind === 'upsert' ? clocksWritten(entity, row) : [] }];
  });
  const groups = [false, true].flatMap((isTimed) =>
    byColumns(rows.filter(({ clocks }) => clocks.length > 0 === isTimed)),
  );
  const first = groups.length > 1 ? firstInserts(entity, rows, batch) : undefined;
  return groups.map((group) => insertRows(entity, group, first, batch));
}

/** The clocks whose columns a row names. */
function clocksWritten({ clocks }: EntityDefinition, row: StoredRow): ClockDefinition[] {
  return Object.values(clocks).filter(({ columns }) =>
    columns.every(({ property }) => row[property] !== undefined),
  );
}

function firstInserts(entity: EntityDefinition, rows: readonly EventRow[], batch: string): SQL {
  const keys = rows.map((of) => ({ ...of, row: keyOnly(entity, of.row) }));
  const set = recordset(entity.table, keys);
  return sql`
    select distinct on (${keyList(entity, 'r')}) r.m_source, r.m_id, r.m_line from ${set.from} ${freshEvents(batch)}
    where ${notRemoved(entity)}
    order by ${keyList(entity, 'r')}, e.seq, r.m_line`;
}

function keyOnly({ key }: EntityDefinition, row: StoredRow): StoredRow {
  return Object.fromEntries(key.columns.map(({ property }) => [property, row[property]]));
}

function insertRows(
  entity: EntityDefinition,
  rows: readonly InsertedRow[],
  first: SQL | undefined,
  batch: string,
): SQL {
  const set = recordset(entity.table, rows);
  const clocks = rows[0]?.clocks ?? [];
  const targets = [set.columns, ...clocks.map(({ column }) => sql`${sql.identifier(column.name)}`)];
  const values = [set.values, ...clocks.map(() => sql`e.occurred_at`)];
  const isFirst = first === undefined ? sql`true` : sql`(r.m_source, r.m_id, r.m_line) in (${first})`;
  return sql`
    with m_inserted as (
      insert into ${entity.table} (${sql.join(targets, sql`, `)})
      select distinct on (${keyList(entity, 'r')}) ${sql.join(values, sql`, `)}
      from ${set.from} ${freshEvents(batch)}
      where ${notRemoved(entity)} and ${isFirst}
      order by ${keyList(entity, 'r')}, e.seq, r.m_line
      on conflict (${sql.join(
        keyNames(entity).map((name) => sql`${name}`),
        sql`, `,
      )}) do nothing
      returning *
    )
    insert into ${millrace.outbox} (batch, tags) select ${batch}::uuid, ${insertTags(entity, 'm_inserted')} from m_inserted`;
}

/**
 * Locks the rows before the update, in the order of their keys, so that two transactions wait for each other and do not
 * deadlock. The lock is a separate statement, so that the update's snapshot has the rows as they are locked. The rows of
 * duplicates are locked as well: to leave them out, each effect would have to be sent once more with its event.
 */
function lockRows(entity: EntityDefinition, rows: readonly EventRow[]): SQL {
  const keys = rows.map(({ row }) => keyOnly(entity, row));
  return sql`
    with m_keys as (select distinct ${keyList(entity, 'r')} from ${distinctRecords(entity.table, keys)})
    select count(*) from (
      select 1 from ${entity.table} as t join m_keys on ${sameKey(entity, 't', 'm_keys')}
      order by ${keyList(entity, 't')} for update of t
    ) as m_locked`;
}

/** What a batch of events writes to rows of one entity, other than their keys. */
interface Written {
  readonly clocks: readonly ClockDefinition[];
  /** Columns without a clock: the event that is stored last wins. */
  readonly plain: readonly { readonly property: string; readonly column: PgColumn }[];
  readonly counters: readonly { readonly property: string; readonly column: PgColumn; readonly as: string }[];
}

function writtenBy(entity: EntityDefinition, effects: readonly EventEffect[]): Written {
  const columns: Readonly<Record<string, PgColumn>> = getTableColumns(entity.table);
  const properties = new Set<string>();
  const counted = new Set<string>();
  for (const { effect } of effects) {
    if (effect.kind === 'increment') for (const property of Object.keys(effect.by)) counted.add(property);
    else if ('row' in effect) for (const property of Object.keys(effect.row)) properties.add(property);
  }
  for (const { property } of entity.key.columns) properties.delete(property);
  const clocks = Object.values(entity.clocks).filter(({ columns: timed }) =>
    timed.some(({ property }) => properties.has(property)),
  );
  for (const { property } of clocks.flatMap(({ columns: timed }) => timed)) properties.delete(property);
  const named = (names: ReadonlySet<string>) =>
    [...names].sort().map((property) => {
      const column = columns[property];
      if (column === undefined)
        throw new Error(
          `The catalog stores "${property}", which the table of "${entity.name}" does not have.`,
        );
      return { property, column };
    });
  const counters = named(counted).map((of, index) => ({ ...of, as: `m_by_${index}` }));
  return { clocks, plain: named(properties), counters };
}

/**
 * Folds the effects of the batch on each row into one update. Under a clock, the event that happened last wins. Of two
 * events at the same time, the one with the greater values wins, so the order of arrival does not matter. `*>` compares
 * rows of any types by their bytes.
 */
function updateRows(entity: EntityDefinition, effects: readonly EventEffect[], batch: string): SQL {
  const written = writtenBy(entity, effects);
  const parts = [
    ...written.clocks.map((clock, index) => timedPart(entity, clock, index)),
    ...written.plain.map((column, index) => plainPart(entity, column, index)),
    ...(written.counters.length === 0 ? [] : [counterPart(entity, written.counters)]),
  ];
  const joins = parts.map(
    ({ name }) => sql`left join ${sql.raw(name)} on ${sameKey(entity, name, 'm_keys')}`,
  );
  const keys = keyList(entity, 'm_fresh');
  return sql`
    with m_fresh as materialized (
      ${freshRows(entity, effects, written.counters, batch)}
    ), m_keys as (
      select distinct ${keys} from m_fresh
    ), m_prior as (
      select t.* from ${entity.table} as t join m_keys on ${sameKey(entity, 't', 'm_keys')}
    ), ${sql.join(
      parts.map(({ name, rows }) => sql`${sql.raw(name)} as (${rows})`),
      sql`, `,
    )}, m_changed as (
      update ${entity.table} as t set ${sql.join(
        parts.flatMap(({ assignments }) => assignments),
        sql`, `,
      )}
      from m_keys ${sql.join(joins, sql` `)}
      where ${sameKey(entity, 't', 'm_keys')} and (${sql.join(
        parts.map(({ counts }) => counts),
        sql` or `,
      )})
      returning t.*
    )
    insert into ${millrace.outbox} (batch, tags)
    select ${batch}::uuid, ${updateTags(entity, 'm_prior', 'm_changed')}
    from m_prior join m_changed on ${sameKey(entity, 'm_prior', 'm_changed')}
    where (m_prior.*) *<> (m_changed.*)`;
}

/** The effects with the times and numbers of their events. `m_given` names the columns that each effect writes. */
function freshRows(
  entity: EntityDefinition,
  effects: readonly EventEffect[],
  counters: Written['counters'],
  batch: string,
): SQL {
  const rows = effects.map(asRow);
  const given: ExtraColumn = {
    name: 'm_given',
    type: 'text[]',
    values: effects.map(({ effect }) => ('row' in effect ? Object.keys(effect.row) : [])),
  };
  const amounts = counters.map(({ property, column, as }): ExtraColumn => {
    const values = effects.map(({ effect }) => {
      const amount = effect.kind === 'increment' ? effect.by[property] : undefined;
      return amount === undefined ? null : String(amount);
    });
    return { name: as, type: storedType(column), values };
  });
  const set = recordset(entity.table, rows, [given, ...amounts]);
  return sql`
    select r.*, e.occurred_at as m_at, e.seq as m_seq from ${set.from} ${freshEvents(batch)}
    where ${notRemoved(entity)}`;
}

/**
 * A part of the update: a row for each affected key, its assignments, and the condition under which it changes a row.
 */
interface UpdatePart {
  readonly name: string;
  readonly rows: SQL;
  readonly assignments: readonly SQL[];
  readonly counts: SQL;
}

function timedPart(
  entity: EntityDefinition,
  { column, columns }: ClockDefinition,
  index: number,
): UpdatePart {
  const name = `m_timed_${index}`;
  const keys = keyList(entity, 'm_fresh');
  const names = columns.map((timed) => sql.identifier(timed.column.name));
  const values = (row: string) =>
    sql.join(
      names.map((of) => sql`${sql.raw(row)}.${of}`),
      sql`, `,
    );
  const at = sql.identifier(column.name);
  const here = sql.raw(name);
  const isLater = sql`(${here}.m_at is not null and (t.${at} is null or t.${at} < ${here}.m_at
    or (t.${at} = ${here}.m_at and (row(${values(name)})::record) *> (row(${values('t')})::record))))`;
  return {
    name,
    rows: sql`
      select distinct on (${keys}) ${keys}, m_at, ${values('m_fresh')} from m_fresh
      where ${columns[0]?.property ?? ''} = any(m_given)
      order by ${keys}, m_at desc, (row(${values('m_fresh')})::record) using *>`,
    assignments: [
      ...names.map((of) => sql`${of} = case when ${isLater} then ${here}.${of} else t.${of} end`),
      sql`${at} = case when ${isLater} then ${here}.m_at else t.${at} end`,
    ],
    counts: isLater,
  };
}

function plainPart(
  entity: EntityDefinition,
  { property, column }: Written['plain'][number],
  index: number,
): UpdatePart {
  const name = `m_plain_${index}`;
  const keys = keyList(entity, 'm_fresh');
  const of = sql.identifier(column.name);
  const isGiven = sql`${sql.raw(name)}.m_seq is not null`;
  return {
    name,
    rows: sql`
      select distinct on (${keys}) ${keys}, m_seq, m_fresh.${of} from m_fresh
      where ${property} = any(m_given) order by ${keys}, m_seq desc, m_line desc`,
    assignments: [sql`${of} = case when ${isGiven} then ${sql.raw(name)}.${of} else t.${of} end`],
    counts: isGiven,
  };
}

function counterPart(entity: EntityDefinition, counters: Written['counters']): UpdatePart {
  const keys = keyList(entity, 'm_fresh');
  const sums = counters.map(({ as }) => sql`sum(${sql.raw(as)}) as ${sql.raw(as)}`);
  return {
    name: 'm_added',
    rows: sql`select ${keys}, ${sql.join(sums, sql`, `)} from m_fresh group by ${keys}`,
    assignments: counters.map(({ column, as }) => {
      const of = sql.identifier(column.name);
      return sql`${of} = case when m_added.${sql.raw(as)} is null then t.${of} else coalesce(t.${of}, 0) + m_added.${sql.raw(as)} end`;
    }),
    counts: sql.join(
      counters.map(({ as }) => sql`m_added.${sql.raw(as)} <> 0`),
      sql` or `,
    ),
  };
}
