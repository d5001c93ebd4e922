import type { Migration } from '../sqlite-migrations.ts';

export const MIGRATIONS: readonly Migration[] = [
  (sql) => {
    // One row for each request, because the platform charges for rows.
    sql.exec(`create table requests (
      seq integer primary key autoincrement,
      at_ms integer not null,
      events integer not null,
      hashes blob not null
    )`);
  },
];
