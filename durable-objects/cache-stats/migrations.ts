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
];
