import type { FlipOutcome } from '../../src/features/rebuild.ts';
import { digestOf } from './cells.ts';

/** The rebuild of a shard: its state and the flip. The caller runs each method in one transaction. */
export class ShardRebuild {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Whether live events have to be folded into the `next` side as well. */
  isOpen(): boolean {
    return this.#state()?.flipped === null;
  }

  /** Opens an empty rebuild. Opening the same run again changes nothing; another open run is discarded. */
  begin(run: string): void {
    if (this.#state()?.run === run) return;
    const sql = this.#sql;
    this.#dropNext();
    sql.exec('create table next_folded (seq integer primary key)');
    sql.exec(`create table next_cells (
      key text not null, feature text not null, bucket integer not null, item text not null,
      amount integer not null, last_at integer not null,
      primary key (key, feature, bucket, item)
    ) without rowid`);
    sql.exec('insert or replace into rebuild (one, run, flipped) values (1, ?, null)', run);
  }

  /** Whether this run is the open one. A run that was flipped accepts no more events. */
  isRun(run: string): boolean {
    const state = this.#state();
    return state?.run === run && state.flipped === null;
  }

  /**
   * Replaces the live cells by those of the rebuild, and records the keys that differ until `settle` removes them.
   * A second call for the same run returns the first call's outcome; undefined for another run.
   */
  flip(run: string): FlipOutcome | undefined {
    const state = this.#state();
    if (state?.run !== run) return undefined;
    if (state.flipped !== null) return JSON.parse(state.flipped) as FlipOutcome;
    const sql = this.#sql;
    const outcome = { before: digestOf(sql, 'live'), after: digestOf(sql, 'next') };
    sql.exec(`insert or ignore into changed (key)
      select key from (select * from cells except select * from next_cells)
      union select key from (select * from next_cells except select * from cells)`);
    sql.exec('drop table cells');
    sql.exec('drop table folded');
    sql.exec('alter table next_cells rename to cells');
    sql.exec('alter table next_folded rename to folded');
    sql.exec('update rebuild set flipped = ?', JSON.stringify(outcome));
    return outcome;
  }

  /** Keys that flips have changed and that have not been invalidated yet, at most `limit`. */
  changedKeys(limit: number): string[] {
    return this.#sql
      .exec<{ key: string }>('select key from changed order by key limit ?', limit)
      .toArray()
      .map(({ key }) => key);
  }

  /** Removes changed keys after they have been invalidated. */
  settle(keys: readonly string[]): void {
    for (const key of keys) this.#sql.exec('delete from changed where key = ?', key);
  }

  #dropNext(): void {
    this.#sql.exec('drop table if exists next_cells');
    this.#sql.exec('drop table if exists next_folded');
  }

  #state(): { run: string; flipped: string | null } | undefined {
    return this.#sql
      .exec<{ run: string; flipped: string | null }>('select run, flipped from rebuild')
      .toArray()[0];
  }
}
