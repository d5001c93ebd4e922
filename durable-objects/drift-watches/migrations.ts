import type { Migration } from '../sqlite-migrations.ts';

export const MIGRATIONS: readonly Migration[] = [
  (sql) => {
    sql.exec('create table watched (version text primary key, at_ms integer not null, state text not null)');
  },
];
