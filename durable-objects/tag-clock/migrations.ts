import type { Migration } from '../sqlite-migrations.ts';

export const MIGRATIONS: readonly Migration[] = [
  (sql) => {
    sql.exec(
      'create table clock (id integer primary key check (id = 0), epoch text not null, seq integer not null)',
    );
    sql.exec('create table slots (slot integer primary key, seq integer not null)');
  },
  // The slots of earlier versions cannot be converted to tags, so the clock forgets all changes up to now: earlier
  // entries are invalid, and tokens stay valid.
  (sql) => {
    sql.exec('alter table clock rename column seq to floor_seq');
    sql.exec('drop table slots');
    sql.exec(
      'create table invalidations (seq integer primary key, at_ms integer not null, tags blob not null)',
    );
  },
  // The record of the phases as JSON, and the invalidation that came with it. In the row that each start reads anyway.
  (sql) => {
    sql.exec('alter table clock add column phases text');
    sql.exec('alter table clock add column phases_seq integer not null default 0');
  },
];
