import { type SQL, sql } from 'drizzle-orm';
import type { ClockDefinition } from '../../define/clock.ts';
import type { EntityDefinition } from '../../define/entity.ts';
import { canonicalText, keyNames } from './key-sql.ts';
import * as millrace from './schema.ts';

/**
 * Removals of rows of entities, by events and by the API: what orders them, what locks them, and their tombstones.
 */

/** The clock that orders writes and removals of a row. Events do not remove rows of entities without exactly one. */
export function removalClock({ clocks }: EntityDefinition): ClockDefinition | undefined {
  const [clock, ...others] = Object.values(clocks);
  return others.length === 0 ? clock : undefined;
}

/**
 * Locks removals of an entity's rows against inserts by other transactions. Without it, a transaction that inserts a
 * row and one that removes it would each miss the other's uncommitted change. It is a separate statement, because the
 * next one takes its snapshot after the lock is granted.
 */
export function removalLock({ name }: EntityDefinition, isRemoval: boolean): SQL {
  const lock = sql.raw(isRemoval ? 'pg_advisory_xact_lock' : 'pg_advisory_xact_lock_shared');
  return sql`select ${lock}(hashtextextended(${`millrace.removed:${name}`}, 0))`;
}

/** Records when rows were removed. `rows` names a set that has their keys. */
export function tombstones(entity: EntityDefinition, rows: string, at: SQL): SQL {
  return sql`
    insert into ${millrace.removedRows} as d (entity, key, removed_at)
    select ${entity.name}::text, ${keyTextOf(entity, rows)}, ${at} from ${sql.raw(rows)} order by 2
    on conflict (entity, key) do update set removed_at = greatest(d.removed_at, excluded.removed_at)`;
}

/** Excludes effects of events that did not happen after the row's removal. */
export function notRemoved(entity: EntityDefinition): SQL {
  if (removalClock(entity) === undefined) return sql`true`;
  return sql`not exists (
    select from ${millrace.removedRows} d
    where d.entity = ${entity.name} and d.key = ${keyTextOf(entity, 'r')} and d.removed_at >= e.occurred_at)`;
}

function keyTextOf(entity: EntityDefinition, row: string): SQL {
  return canonicalText(keysOf(entity, row));
}

function keysOf(entity: EntityDefinition, row: string): SQL[] {
  return keyNames(entity).map((name) => sql`${sql.raw(row)}.${name}`);
}

/** The columns of a key of a set, as a list. */
export function keyList(entity: EntityDefinition, row: string): SQL {
  return sql.join(keysOf(entity, row), sql`, `);
}
