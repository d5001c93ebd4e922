import type { Migration } from '../sqlite-migrations.ts';

export const MIGRATIONS: readonly Migration[] = [
  (sql) => {
    sql.exec(`create table buckets (
      width integer not null,
      bucket integer not null,
      counts text not null,
      primary key (width, bucket)
    ) without rowid`);
    sql.exec('create table saved (name text primary key, value text not null) without rowid');
    sql.exec('create table records (number integer primary key autoincrement, value text not null)');
    sql.exec('create table silences (id text primary key, ends_ms integer not null, value text not null)');
  },
];
