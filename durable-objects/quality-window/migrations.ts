import type { Migration } from '../sqlite-migrations.ts';

export const MIGRATIONS: readonly Migration[] = [
  (sql) => {
    sql.exec('create table batches (id text primary key, minute integer not null) without rowid');
    sql.exec('create index batches_minute on batches (minute)');
    sql.exec(`create table buckets (
      width integer not null,
      bucket integer not null,
      type text not null,
      tally text not null,
      primary key (width, bucket, type)
    ) without rowid`);
  },
  (sql) => {
    // Numbered, so that pruning needs no index by minute and one number tells which counts the buckets have.
    sql.exec(`create table counted (
      n integer primary key,
      id text not null unique,
      minute integer not null,
      counts text
    )`);
    sql.exec('insert into counted (id, minute) select id, minute from batches order by minute');
    sql.exec('drop table batches');
    sql.exec('create table added_up (n integer not null)');
    sql.exec('insert into added_up (n) select coalesce(max(n), 0) from counted');
  },
];
