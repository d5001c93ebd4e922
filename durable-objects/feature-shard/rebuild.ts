import type { ShardDigest } from '../../src/features/digest.ts';
import { addCell, EMPTY_DIGEST } from '../../src/features/digest.ts';
import type { Cell, FoldableEvent } from '../../src/features/fold.ts';
import type { FlipOutcome } from '../../src/features/rebuild.ts';

/** The tables of the features that are read, and of those that are built aside. */
export type Side = 'live' | 'next';
export const TABLES = {
  live: { cells: 'cells', folded: 'folded' },
  next: { cells: 'next_cells', folded: 'next_folded' },
} as const;

type CellsOf = (fresh: readonly FoldableEvent[]) => readonly Cell[];

/** Cells of one statement: some hundred kilobytes, of the 2 MB that a parameter may have. */
const STATEMENT_CELLS_MAX = 2_000;

/**
 * Folds the events that one side has not folded yet, and returns how many those were. Rows go to SQLite as one JSON
 * text, and not with a statement for each.
 */
export function foldInto(
  sql: SqlStorage,
  side: Side,
  events: readonly FoldableEvent[],
  cellsOf: CellsOf,
): number {
  const { cells, folded } = TABLES[side];
  const seqs = JSON.stringify(events.map(({ seq }) => seq));
  const added = new Set(
    sql
      .exec<{ seq: number }>(
        `insert into ${folded} (seq) select value from json_each(?) where true on conflict do nothing returning seq`,
        seqs,
      )
      .toArray()
      .map(({ seq }) => seq),
  );
  // The first of each number: a batch may have one event twice.
  const fresh = events.filter(({ seq }) => added.delete(seq));
  const all = cellsOf(fresh).map((cell) => [
    cell.key,
    cell.feature,
    cell.bucket,
    cell.item,
    cell.amount,
    cell.lastAt,
  ]);
  for (let from = 0; from < all.length; from += STATEMENT_CELLS_MAX)
    sql.exec(
      `insert into ${cells} (key, feature, bucket, item, amount, last_at)
       select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5 from json_each(?) where true
       on conflict (key, feature, bucket, item)
       do update set amount = amount + excluded.amount, last_at = max(last_at, excluded.last_at)`,
      JSON.stringify(all.slice(from, from + STATEMENT_CELLS_MAX)),
    );
  return fresh.length;
}

/** What one side holds, whatever order it came in. */
export function digestOf(sql: SqlStorage, side: Side): ShardDigest {
  const { cells, folded } = TABLES[side];
  let digest = EMPTY_DIGEST;
  const rows = sql.exec<{
    key: string;
    feature: string;
    bucket: number;
    item: string;
    amount: number;
    last_at: number;
  }>(`select key, feature, bucket, item, amount, last_at from ${cells}`);
  for (const { last_at: lastAt, ...cell } of rows) digest = addCell(digest, { ...cell, lastAt });
  const events = Number(sql.exec(`select count(*) as events from ${folded}`).one()['events']);
  return { ...digest, events };
}

/** The rebuild of a shard: what is open, and the flip. Each method is one transaction of its caller. */
export class ShardRebuild {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Whether live events are to be folded into the side that is built, too. */
  isOpen(): boolean {
    return this.#state()?.flipped === null;
  }

  /** Opens a rebuild with nothing in it; the same one again changes nothing. Another that is open is thrown away. */
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

  /** Whether this run is the one that is open. One that was flipped takes nothing more. */
  isRun(run: string): boolean {
    const state = this.#state();
    return state?.run === run && state.flipped === null;
  }

  /**
   * Puts what was built in the place of what is read, and notes the keys that differ, until `settle` forgets them.
   * Asked again it tells what it told; undefined for another run.
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

  /** Keys that the last flips changed and that are not invalidated yet, at most `limit`. */
  changedKeys(limit: number): string[] {
    return this.#sql
      .exec<{ key: string }>('select key from changed order by key limit ?', limit)
      .toArray()
      .map(({ key }) => key);
  }

  /** Forgets changed keys, now that they are invalidated. */
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
