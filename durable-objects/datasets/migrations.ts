import type { Migration } from '../sqlite-migrations.ts';

export const MIGRATIONS: readonly Migration[] = [
  (sql) => {
    sql.exec(`create table datasets (
      id text primary key,
      spec text not null,
      state text not null,
      counted text not null,
      bounds text,
      quality text not null,
      manifest text,
      failure text,
      begun_ms integer not null,
      ended_ms integer
    ) without rowid`);
    // By hash first: a dataset's keys are read in the order of their hashes.
    sql.exec(`create table keys (
      dataset text not null,
      hash integer not null,
      key text not null,
      touches integer not null,
      primary key (dataset, hash, key)
    ) without rowid`);
    sql.exec(`create table items (
      dataset text not null,
      item text not null,
      known_ms integer not null,
      primary key (dataset, item)
    ) without rowid`);
    sql.exec(`create table parts (
      dataset text not null,
      from_hash integer not null,
      to_hash integer not null,
      files text,
      primary key (dataset, from_hash)
    ) without rowid`);
  },
  (sql) => {
    // When it was asked for last, after it was there; retention counts from then.
    sql.exec('alter table datasets add column used_ms integer');
  },
];
