/** Rows that SQL statements of an object read and wrote, by the runtime's own counters: those that the platform charges for. */
export interface CountedRows {
  readonly read: number;
  readonly written: number;
}

/** An object's storage whose SQL statements are counted. */
export class CountedStorage {
  readonly storage: DurableObjectStorage;
  #cursors: { readonly rowsRead: number; readonly rowsWritten: number }[] = [];

  constructor(storage: DurableObjectStorage) {
    const keep = <Cursor extends { readonly rowsRead: number; readonly rowsWritten: number }>(
      cursor: Cursor,
    ) => {
      this.#cursors.push(cursor);
      return cursor;
    };
    const sql = new Proxy(storage.sql, {
      get: (target, name) => {
        if (name === 'exec') return (...call: Parameters<SqlStorage['exec']>) => keep(target.exec(...call));
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    this.storage = new Proxy(storage, {
      get: (target, name) => {
        if (name === 'sql') return sql;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }

  /** The rows of the statements that `work` executes. */
  counted<Result>(work: () => Result): CountedRows & { readonly result: Result } {
    this.#cursors = [];
    return { result: work(), ...this.#rows() };
  }

  /** The same of work that waits. */
  async countedLater<Result>(
    work: () => Promise<Result>,
  ): Promise<CountedRows & { readonly result: Result }> {
    this.#cursors = [];
    return { result: await work(), ...this.#rows() };
  }

  #rows(): CountedRows {
    const sum = (of: 'rowsRead' | 'rowsWritten') =>
      this.#cursors.reduce((total, cursor) => total + cursor[of], 0);
    return { read: sum('rowsRead'), written: sum('rowsWritten') };
  }
}
