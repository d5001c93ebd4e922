import type { Migration } from '../sqlite-migrations.ts';

export const MIGRATIONS: readonly Migration[] = [
  (sql) => {
    sql.exec(`create table partition (
      only integer primary key check (only = 1),
      topic text not null,
      number integer not null
    )`);
  },
  (sql) => {
    sql.exec('alter table partition add column seek integer');
  },
  (sql) => {
    sql.exec('alter table partition add column topic_id text');
  },
];
