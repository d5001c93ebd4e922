import type { Migration } from '../sqlite-migrations.ts';

export const MIGRATIONS: readonly Migration[] = [
  (sql) => {
    sql.exec('create table progress (id integer primary key check (id = 1), state text not null)');
    sql.exec(`create table trials (
      id integer primary key,
      model text not null,
      entity_key text not null,
      version text not null,
      rollout text not null,
      at_ms integer not null,
      closes_ms integer not null,
      due_ms integer not null,
      has_hit integer not null,
      state text not null
    )`);
    sql.exec('create index trials_by_key on trials (model, entity_key)');
    sql.exec('create index trials_by_due on trials (due_ms)');
    sql.exec(`create table counts (
      model text not null,
      day text not null,
      version text not null,
      name text not null,
      n integer not null,
      primary key (model, day, version, name)
    ) without rowid`);
    sql.exec(`create table rollout_steps (
      rollout text not null,
      share real not null,
      since_ms integer not null,
      primary key (rollout, share)
    ) without rowid`);
  },
];
