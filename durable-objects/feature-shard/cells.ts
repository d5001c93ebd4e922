import { addCell, EMPTY_DIGEST, type ShardDigest } from '../../src/features/digest.ts';
import type { Cell, FoldableEvent } from '../../src/features/fold.ts';
import { SQL_VALUE_BYTES_MAX } from '../../src/platform/limits.ts';

/** `live`: the features that reads use. `next`: the features that a rebuild makes beside them. */
export type Side = 'live' | 'next';
const TABLES = {
  live: { cells: 'cells', folded: 'folded' },
  next: { cells: 'next_cells', folded: 'next_folded' },
} as const;

type CellsOf = (fresh: readonly FoldableEvent[]) => readonly Cell[];

/** Bytes of one cell as JSON, at most. */
const CELL_BYTES_MAX = 1_024;
/** Cells of one statement: they are one parameter. */
const STATEMENT_CELLS_MAX = Math.floor(SQL_VALUE_BYTES_MAX / CELL_BYTES_MAX);

/**
 * Folds the events that one side has not folded yet, and returns their number. Rows are passed to SQLite as one JSON
 * text, because a statement per row would be slower.
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
  // Keeps the first of each number: a batch may contain an event twice.
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

/** A digest of one side's cells. It does not depend on the order in which events arrived. */
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
