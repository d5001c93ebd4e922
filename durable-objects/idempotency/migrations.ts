import type { Migration } from '../sqlite-migrations.ts';

export const MIGRATIONS: readonly Migration[] = [
  (sql) => {
    // By day first, so that whole days are deleted without an index, which would write a further row for each key.
    sql.exec(`create table keys (
      day integer not null,
      id text not null,
      fingerprint text not null,
      expires_ms integer not null,
      lease text not null,
      lease_ends_ms integer not null,
      status integer,
      answer blob,
      primary key (day, id)
    ) without rowid`);
  },
];
