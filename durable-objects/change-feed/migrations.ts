import type { Migration } from '../sqlite-migrations.ts';

export const MIGRATIONS: readonly Migration[] = [
  (sql) => {
    sql.exec('create table log_epoch (only integer primary key check (only = 1), epoch text not null)');
    // One row for each batch, because the platform charges for rows.
    sql.exec(`create table batches (
      first_seq integer primary key,
      last_seq integer not null,
      at_ms integer not null,
      -- The changes' outbox ids, by which a duplicate is recognised.
      ids text not null,
      changes text not null
    )`);
  },
];
