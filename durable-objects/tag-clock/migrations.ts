import type { Migration } from '../sqlite-migrations.ts';

export const MIGRATIONS: readonly Migration[] = [
  (sql) => {
    sql.exec(
      'create table clock (id integer primary key check (id = 0), epoch text not null, seq integer not null)',
    );
    sql.exec('create table slots (slot integer primary key, seq integer not null)');
  },
];
