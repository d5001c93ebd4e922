import type { Migration } from '../sqlite-migrations.ts';

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
];
