import type { Migration } from '../sqlite-migrations.ts';

export const MIGRATIONS: readonly Migration[] = [
  (sql) => {
    sql.exec(`create table requests (
      seq integer primary key autoincrement,
      at_ms integer not null,
      events integer not null,
      hashes blob not null
    )`);
  },
  (sql) => {
    // Without `autoincrement`, which writes a second row with each insert.
    sql.exec(`create table segments (
      seq integer primary key,
      at_ms integer not null,
      events integer not null,
      hashes blob not null
    )`);
    sql.exec('insert into segments select seq, at_ms, events, hashes from requests');
    sql.exec('drop table requests');
  },
];
