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
];
