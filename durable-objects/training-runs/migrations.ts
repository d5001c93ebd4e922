import type { Migration } from '../sqlite-migrations.ts';

export const MIGRATIONS: readonly Migration[] = [
  (sql) => {
    sql.exec(`create table runs (
      id text primary key,
      model text not null,
      is_ended integer not null,
      begun_ms integer not null,
      run text not null
    ) without rowid`);
    sql.exec('create index runs_begun on runs (begun_ms)');
  },
];
