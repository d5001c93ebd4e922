import type { Migration } from '../sqlite-migrations.ts';

export const MIGRATIONS: readonly Migration[] = [
  (sql) => {
    sql.exec('create table watched (id integer primary key check (id = 1), state text not null)');
  },
];
