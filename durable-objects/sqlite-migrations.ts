/** One step of a Durable Object's schema. Steps are only ever appended, never changed. */
export type Migration = (sql: SqlStorage) => void;

/**
 * Brings an object's SQLite schema up to date. To be called in the constructor: it is synchronous, so that no
 * request can come in between, and each step is a transaction together with its mark.
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
