/** One step of a Durable Object's schema. Append new steps; never change one that has been released. */
export type Migration = (sql: SqlStorage) => void;

/**
 * Brings an object's SQLite schema up to date. Call it in the constructor: it is synchronous, so no request can come
 * in between. Each step commits together with the row that marks it as done.
 */
export function migrate(storage: DurableObjectStorage, migrations: readonly Migration[]): void {
  const { sql } = storage;
  sql.exec('create table if not exists migrations (step integer primary key)');
  const done = Number(sql.exec('select count(*) as done from migrations').one()['done']);
  for (let step = done; step < migrations.length; step += 1) {
    storage.transactionSync(() => {
      migrations[step]?.(sql);
      sql.exec('insert into migrations (step) values (?)', step);
    });
  }
}
