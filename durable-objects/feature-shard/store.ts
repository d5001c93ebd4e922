import type { Cell, FoldableEvent } from '../../src/features/fold.ts';
import { migrate } from '../sqlite-migrations.ts';
import { MIGRATIONS } from './migrations.ts';

/** The cells of a shard's features in the object's own SQLite. */
export class CellStore {
  readonly #storage: DurableObjectStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    migrate(storage, MIGRATIONS);
  }

  /** Folds the events that have not been folded yet, all or none of them, and returns how many those were. */
  fold(
    events: readonly FoldableEvent[],
    cellsOf: (fresh: readonly FoldableEvent[]) => readonly Cell[],
  ): number {
    const { sql } = this.#storage;
    return this.#storage.transactionSync(() => {
      const fresh = events.filter(
        ({ seq }) =>
          sql.exec('insert into folded (seq) values (?) on conflict do nothing', seq).rowsWritten > 0,
      );
      for (const { key, feature, bucket, item, amount, lastAt } of cellsOf(fresh)) {
        sql.exec(
          `insert into cells (key, feature, bucket, item, amount, last_at) values (?, ?, ?, ?, ?, ?)
           on conflict (key, feature, bucket, item)
           do update set amount = amount + excluded.amount, last_at = max(last_at, excluded.last_at)`,
          key,
          feature,
          bucket,
          item,
          amount,
          lastAt,
        );
      }
      return fresh.length;
    });
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
