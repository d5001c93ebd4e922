import type { Migration } from '../sqlite-migrations.ts';

export const MIGRATIONS: readonly Migration[] = [
  (sql) => {
    sql.exec(`create table quotas (
      partition text primary key,
      period text not null,
      used integer not null
    ) without rowid`);
  },
];
