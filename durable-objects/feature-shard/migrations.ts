import { BLOCK_NUMBERS } from '../../src/features/folded-numbers.ts';
import type { Migration } from '../sqlite-migrations.ts';
import { BEGINNING } from './cells.ts';

/** The tables that the first two steps and a rebuild made. */
const FIRST_TABLES = ['cells', 'folded', 'next_cells', 'next_folded'];

/** Before the first row of the first generation. */
const UNPACKED_BEGINNING = [0, ...BEGINNING];

export const MIGRATIONS: readonly Migration[] = [
  (sql) => {
    sql.exec('create table folded (seq integer primary key)');
    sql.exec(`create table cells (
      key text not null,
      feature text not null,
      bucket integer not null,
      item text not null,
      amount integer not null,
      last_at integer not null,
      primary key (key, feature, bucket, item)
    ) without rowid`);
  },
  (sql) => {
    // At most one row: the open rebuild, or the last one that was flipped.
    sql.exec(`create table rebuild (
      one integer primary key check (one = 1),
      run text not null,
      flipped text
    )`);
    sql.exec('create table changed (key text primary key) without rowid');
  },
  (sql) => {
    // Cells and numbers of several generations, of which one is served. The old tables are renamed and emptied later,
    // in bounded steps (legacy.ts): a constructor that copied them would take a minute for a few million cells.
    for (const table of FIRST_TABLES)
      if (exists(sql, table)) sql.exec(`alter table ${table} rename to legacy_${table}`);
    // A rebuild that is open has to be restarted. The outcome of one that was flipped is in Postgres.
    sql.exec('drop table rebuild');
    sql.exec(`create table shard (
      one integer primary key check (one = 1),
      served integer not null,
      next integer,
      run text,
      flipped text,
      compared text,
      horizon integer not null,
      swept text,
      legacy integer not null
    )`);
    sql.exec('insert into shard (one, served, horizon, legacy) values (1, 1, 0, 1)');
    // A new object has nothing to move.
    if (FIRST_TABLES.every((table) => isEmpty(sql, `legacy_${table}`))) dropLegacy(sql);
    // A generation that is neither served nor the next one is stale: its rows are deleted in bounded steps.
    sql.exec(`create table generations (
      generation integer primary key,
      cells integer not null default 0,
      events integer not null default 0,
      sum_a integer not null default 0,
      sum_b integer not null default 0
    )`);
    sql.exec('insert into generations (generation) values (1)');
    sql.exec(`create table features (
      id integer primary key,
      name text not null,
      rule text not null,
      days integer not null,
      retired integer not null default 0
    )`);
    sql.exec(`create table cells (
      generation integer not null,
      key text not null,
      feature integer not null,
      bucket integer not null,
      item text not null,
      amount integer not null,
      last_at integer not null,
      primary key (generation, key, feature, bucket, item)
    ) without rowid`);
    sql.exec(`create table folded (
      generation integer not null,
      block integer not null,
      numbers blob not null,
      primary key (generation, block)
    ) without rowid`);
  },
  (sql) => {
    // Neither rewrites a row: SQLite adds a column with a constant default to the schema alone.
    sql.exec("alter table cells add column state text not null default ''");
    // Features of the earlier steps have tiles of a day, counted by `days`, or no tiles at all.
    sql.exec('alter table features add column tile_ms integer not null default 86400000');
    sql.exec('update features set tile_ms = 0 where days = 0');
  },
  (sql) => {
    // Features of the earlier steps are served, and what their functions are is not known.
    sql.exec("alter table features add column code text not null default ''");
    // Null once the feature is served; until then its layer.
    sql.exec('alter table features add column layer integer');
    // Features that are filled from history together. A layer is a generation without cells: it has the numbers of the
    // events that its features have. Null until a backfill is open.
    sql.exec('create table layers (layer integer primary key, run text)');
  },
  (sql) => {
    // The newest block of numbers is in the row with the totals, so that a fold writes one row for both.
    sql.exec('alter table generations add column block integer');
    sql.exec('alter table generations add column numbers blob');
    sql.exec('alter table shard add column cleaned integer not null default 0');
    // Cells of the earlier steps are rows of their own, also those that belong in a pack. Each is packed when it is
    // added to, and the rest in bounded steps (unpacked.ts). A comparison begins again: packing moves rows.
    sql.exec('alter table shard add column unpacked text');
    sql.exec('update shard set compared = null');
    if (!isEmpty(sql, 'cells')) sql.exec('update shard set unpacked = ?', JSON.stringify(UNPACKED_BEGINNING));
  },
  (sql) => {
    // The folds that nobody has said are invalidated, in the row that each fold writes anyway.
    sql.exec('alter table generations add column open_folds text');
    // Of the folds of the earlier steps it is not known whether they are invalidated: events with lesser numbers.
    sql.exec('alter table shard add column tracked_from integer not null default 0');
    sql.exec(
      `update shard set tracked_from = case when legacy = 1 then ${Number.MAX_SAFE_INTEGER} else ${BLOCK_NUMBERS} * (
         select coalesce(max(block) + 1, 0)
         from (select block from generations union all select block from folded)) end`,
    );
  },
  (sql) => {
    // The version of a feature, and what reading its cells needs of its definition. Of the earlier steps neither is known,
    // so a version that they had is not kept once it is replaced.
    sql.exec("alter table features add column digest text not null default ''");
    sql.exec("alter table features add column shape text not null default ''");
    // When the version was replaced, if it is kept: `retired` is then 2.
    sql.exec('alter table features add column replaced_at integer');
  },
  (sql) => {
    // Where the keys of the shard move or have moved to (src/features/layout.ts).
    sql.exec('alter table shard add column moves_to integer');
    sql.exec('alter table shard add column moved integer not null default 0');
  },
  (sql) => {
    // The numbers of erased events, by blocks (erased.ts).
    sql.exec('alter table shard add column erased integer not null default 0');
    sql.exec('create table erased (block integer primary key, numbers blob not null)');
  },
];

/** Drops the renamed tables, which have to be empty: then it takes no time. */
export function dropLegacy(sql: SqlStorage): void {
  for (const table of FIRST_TABLES) sql.exec(`drop table if exists legacy_${table}`);
  sql.exec('update shard set legacy = 0');
}

function isEmpty(sql: SqlStorage, table: string): boolean {
  return !exists(sql, table) || sql.exec(`select 1 from ${table} limit 1`).toArray().length === 0;
}

function exists(sql: SqlStorage, table: string): boolean {
  return (
    sql.exec("select 1 from sqlite_schema where type = 'table' and name = ?", table).toArray().length > 0
  );
}
