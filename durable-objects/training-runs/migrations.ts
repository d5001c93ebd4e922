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
  (sql) => {
    sql.exec('create index runs_open on runs (begun_ms, id) where is_ended = 0');
    sql.exec('create index runs_of_model on runs (model, begun_ms desc, id)');
  },
];
