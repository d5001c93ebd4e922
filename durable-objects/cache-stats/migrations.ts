import type { Migration } from '../sqlite-migrations.ts';

export const MIGRATIONS: readonly Migration[] = [
  (sql) => {
    sql.exec(
      'create table isolates (id text primary key, n integer not null, minute integer not null) without rowid',
    );
    sql.exec('create table totals (series text primary key, value integer not null) without rowid');
    sql.exec(`create table minutes (
      minute integer not null,
      series text not null,
      value integer not null,
      primary key (minute, series)
    ) without rowid`);
  },
  (sql) => {
    sql.exec('alter table isolates add column memory_bytes integer not null default 0');
  },
  // One row for a minute, for all totals and for all isolates, in place of one for each series and isolate.
  (sql) => {
    sql.exec('create table series (number integer primary key, text text not null)');
    sql.exec('create table saved (name text primary key, value text not null) without rowid');
    sql.exec('create table counted_minutes (minute integer primary key, counts text not null)');
    sql.exec(
      'insert into series (number, text) select row_number() over (order by series), series from totals',
    );
    sql.exec(`insert into saved (name, value)
      select 'totals', json_group_array(json_array(s.number, t.value))
      from totals t join series s on s.text = t.series`);
    sql.exec(`insert into saved (name, value)
      select 'isolates', json_group_array(json_array(id, n, minute, memory_bytes))
      from (select * from isolates order by minute)`);
    sql.exec(`insert into counted_minutes (minute, counts)
      select m.minute, json_group_array(json_array(s.number, m.value))
      from minutes m join series s on s.text = m.series group by m.minute`);
    for (const table of ['isolates', 'totals', 'minutes']) sql.exec(`drop table ${table}`);
  },
  // Sums of ten minutes and of three hours, for dashboards.
  (sql) => {
    sql.exec(`create table rolled (
      width integer not null,
      bucket integer not null,
      counts text not null,
      primary key (width, bucket)
    ) without rowid`);
  },
];
