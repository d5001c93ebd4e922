import type { ShardDigest } from '../../src/features/digest.ts';
import type { Cell, FoldableEvent } from '../../src/features/fold.ts';
import { migrate } from '../sqlite-migrations.ts';
import { digestOf, foldInto } from './cells.ts';
import { MIGRATIONS } from './migrations.ts';
import { ShardRebuild } from './rebuild.ts';

/** The cells of a shard's features in the object's own SQLite. */
export class CellStore {
  readonly #storage: DurableObjectStorage;
  readonly #rebuild: ShardRebuild;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    migrate(storage, MIGRATIONS);
    this.#rebuild = new ShardRebuild(storage.sql);
  }

  /**
   * Folds the events that have not been folded yet, all or none of them, and returns their number. While a rebuild is
   * open, the same transaction folds them into the rebuild's cells.
   */
  fold(
    events: readonly FoldableEvent[],
    cellsOf: (fresh: readonly FoldableEvent[]) => readonly Cell[],
  ): number {
    const { sql } = this.#storage;
    return this.#storage.transactionSync(() => {
      if (this.#rebuild.isOpen()) foldInto(sql, 'next', events, cellsOf);
      return foldInto(sql, 'live', events, cellsOf);
    });
  }

  /** Folds events of history into the cells of a rebuild; false if that rebuild is not the open one. */
  build(
    run: string,
    events: readonly FoldableEvent[],
    cellsOf: (fresh: readonly FoldableEvent[]) => readonly Cell[],
  ): boolean {
    return this.#storage.transactionSync(() => {
      if (!this.#rebuild.isRun(run)) return false;
      foldInto(this.#storage.sql, 'next', events, cellsOf);
      return true;
    });
  }

  /** Runs one step of the rebuild in a transaction. */
  rebuilding<T>(step: (rebuild: ShardRebuild) => T): T {
    return this.#storage.transactionSync(() => step(this.#rebuild));
  }

  digest(): ShardDigest {
    return digestOf(this.#storage.sql, 'live');
  }

  /** All cells of one key. */
  read(key: string): Cell[] {
    return this.#storage.sql
      .exec<{ feature: string; bucket: number; item: string; amount: number; last_at: number }>(
        'select feature, bucket, item, amount, last_at from cells where key = ?',
        key,
      )
      .toArray()
      .map(({ last_at: lastAt, ...cell }) => ({ key, lastAt, ...cell }));
  }

  /** How many events have been folded. */
  count(): number {
    return Number(this.#storage.sql.exec('select count(*) as events from folded').one()['events']);
  }
}
