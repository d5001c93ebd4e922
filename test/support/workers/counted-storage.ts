/** Rows as the runtime counts them for one piece of work. */
export interface Rows {
  readonly read: number;
  readonly written: number;
}

/** An object's storage, and what the statements that are sent through it read and write. */
export function countedStorage(storage: DurableObjectStorage) {
  let cursors: SqlStorageCursor<Record<string, SqlStorageValue>>[] = [];
  const exec: SqlStorage['exec'] = (query, ...bindings) => {
    const cursor = storage.sql.exec<never>(query, ...bindings);
    cursors.push(cursor);
    return cursor;
  };
  const sql = new Proxy(storage.sql, {
    get: (target, name) => (name === 'exec' ? exec : Reflect.get(target, name)),
  });
  const counted = new Proxy(storage, {
    get: (target, name) => {
      if (name === 'sql') return sql;
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  return {
    storage: counted,
    /** Does the work, and returns its rows. A cursor counts what was taken from it. */
    rowsOf: (work: () => unknown): Rows => {
      cursors = [];
      work();
      const sum = (of: 'rowsRead' | 'rowsWritten') =>
        cursors.reduce((total, cursor) => total + cursor[of], 0);
      return { read: sum('rowsRead'), written: sum('rowsWritten') };
    },
  };
}
