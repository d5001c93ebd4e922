import type { Migration } from '../sqlite-migrations.ts';

export const MIGRATIONS: readonly Migration[] = [
  (sql) => {
    sql.exec('create table log_epoch (only integer primary key check (only = 1), epoch text not null)');
    // One row for each batch, for rows are what is paid for.
    sql.exec(`create table batches (
      first_seq integer primary key,
      last_seq integer not null,
      at_ms integer not null,
      -- The changes' numbers in the outbox, by which one that is sent again is known.
      ids text not null,
      changes text not null
    )`);
  },
];
