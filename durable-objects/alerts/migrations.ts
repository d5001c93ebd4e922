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
  (sql) => {
    sql.exec(`create table deliveries (
      number integer primary key autoincrement,
      target text not null,
      id text not null,
      notice text not null,
      attempts integer not null,
      created_ms integer not null,
      due_ms integer not null
    )`);
    sql.exec('create index deliveries_of_target on deliveries (target, number)');
    sql.exec(
      'create table incidents (id integer primary key autoincrement, state text not null, value text not null)',
    );
    sql.exec(`create table timeline (
      number integer primary key autoincrement,
      incident integer not null,
      at_ms integer not null,
      source text unique,
      value text not null
    )`);
    sql.exec('create index timeline_of_incident on timeline (incident, at_ms)');
  },
  (sql) => {
    sql.exec('create table spent (bucket integer primary key, value text not null)');
  },
];
