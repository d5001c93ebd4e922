import { NO_STATE, STATE_BYTES_MAX } from '../../src/features/algebra/state.ts';
import { DigestTally, type ShardDigest } from '../../src/features/digest.ts';
import { type Cell, mergedCell } from '../../src/features/fold.ts';
import { tilesRead } from '../../src/features/retention.ts';
import { SQL_VALUE_BYTES_MAX } from '../../src/platform/limits.ts';
import type { KeptFeatures } from './features.ts';

/** A row of the table `cells`, without its generation. */
export interface CellRow {
  readonly key: string;
  readonly feature: number;
  readonly bucket: number;
  readonly item: string;
  readonly amount: number;
  readonly last_at: number;
  readonly state: string;
}
type Selected = { [Column in keyof CellRow]: CellRow[Column] };

/** Where a row stands in a generation: rows are ordered by these four. */
export type Position = readonly [key: string, feature: number, bucket: number, item: string];

/** Bytes of one cell without its state as JSON, at most. */
const CELL_BYTES_MAX = 1_024;
/** Cells of one statement: they are one parameter. */
const STATEMENT_CELLS_MAX = Math.floor(SQL_VALUE_BYTES_MAX / CELL_BYTES_MAX);

const COLUMNS = 'key, feature, bucket, item, amount, last_at, state';

export function positionOf({ key, feature, bucket, item }: CellRow): Position {
  return [key, feature, bucket, item];
}

export function cellOf({ last_at: lastAt, ...row }: CellRow, features: KeptFeatures): Cell {
  return { ...row, feature: features.nameOf(row.feature), lastAt };
}

/**
 * Adds cells of different identity to a generation, and returns by how much its digest changes. Expired cells are left
 * out. Rows are passed to SQLite as one JSON text, because a statement per row would be slower.
 */
export function addCells(
  sql: SqlStorage,
  generation: number,
  cells: readonly Cell[],
  { features, horizon }: { readonly features: KeptFeatures; readonly horizon: number },
): ShardDigest {
  const tally = new DigestTally();
  const present = new Set<Cell>();
  const wanted = cells.flatMap((cell) => {
    const id = features.named(cell.feature)?.id;
    return id === undefined || features.isExpired(id, cell.bucket, horizon) ? [] : [{ id, cell }];
  });
  for (const part of statementsOf(wanted)) {
    const merged = part.map(({ cell }) => cell);
    for (const { at, amount, last_at: lastAt, state } of selectAt(sql, generation, part)) {
      const cell = merged[at];
      if (cell === undefined) continue;
      const before = { ...cell, amount, lastAt, state };
      merged[at] = mergedCell(before, cell);
      tally.replace(before, merged[at]);
      present.add(merged[at]);
    }
    for (const cell of merged) if (!present.has(cell)) tally.add(cell);
    const rows = part.map(({ id, cell: { key, bucket, item } }, at) => [
      key,
      id,
      bucket,
      item,
      merged[at]?.amount,
      merged[at]?.lastAt,
      merged[at]?.state,
    ]);
    sql.exec(
      `insert into cells (generation, ${COLUMNS})
       select ?, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
       from json_each(?) where true
       on conflict (generation, key, feature, bucket, item)
       do update set amount = excluded.amount, last_at = excluded.last_at, state = excluded.state`,
      generation,
      JSON.stringify(rows),
    );
  }
  return tally.change;
}

/** The cells of the served features of one key that reads as of `now` need, with their features' names. */
export function cellsOfKey(
  sql: SqlStorage,
  generation: number,
  key: string,
  features: KeptFeatures,
  now: number,
): Cell[] {
  // A statement for each feature: a join with a list of the features would count the rows of the list, too.
  return features.served.flatMap(({ id, ...window }) => {
    const { from, to } = tilesRead(window, now);
    return sql
      .exec<Selected>(
        `select ${COLUMNS} from cells where generation = ? and key = ? and feature = ? and bucket between ? and ?`,
        generation,
        key,
        id,
        from,
        to,
      )
      .toArray()
      .map((row) => cellOf(row, features));
  });
}

/** Rows of a generation after a position, in order: up to `until`, and at most `limit`. */
export function pageOf(
  sql: SqlStorage,
  generation: number,
  {
    after,
    until,
    limit,
  }: { readonly after: Position; readonly until?: Position | undefined; readonly limit: number },
): CellRow[] {
  return sql
    .exec<Selected>(
      `select ${COLUMNS} from cells
       where generation = ? and (key, feature, bucket, item) > (?, ?, ?, ?)
         ${until === undefined ? '' : 'and (key, feature, bucket, item) <= (?, ?, ?, ?)'}
       order by key, feature, bucket, item limit ?`,
      generation,
      ...after,
      ...(until ?? []),
      limit,
    )
    .toArray();
}

/** Deletes rows of a generation, and returns by how much its digest changes. */
export function deleteRows(
  sql: SqlStorage,
  generation: number,
  rows: readonly CellRow[],
  features: KeptFeatures,
): ShardDigest {
  for (let from = 0; from < rows.length; from += STATEMENT_CELLS_MAX)
    sql.exec(
      `delete from cells where (generation, key, feature, bucket, item) in
         (select ?, value ->> 0, value ->> 1, value ->> 2, value ->> 3 from json_each(?))`,
      generation,
      JSON.stringify(rows.slice(from, from + STATEMENT_CELLS_MAX).map(positionOf)),
    );
  const tally = new DigestTally();
  for (const row of rows) tally.remove(cellOf(row, features));
  return tally.change;
}

/** Adds to the totals of a generation. */
export function changeTotals(sql: SqlStorage, generation: number, by: ShardDigest): void {
  sql.exec(
    `update generations set cells = cells + ?, events = events + ?,
       sum_a = (sum_a + ?) & 4294967295, sum_b = (sum_b + ?) & 4294967295 where generation = ?`,
    by.cells,
    by.events,
    by.sumA,
    by.sumB,
    generation,
  );
}

/** The digest of a generation's cells, and the number of the events folded into it. */
export function totalsOf(sql: SqlStorage, generation: number): ShardDigest {
  const row = sql
    .exec<{ cells: number; events: number; sum_a: number; sum_b: number }>(
      'select cells, events, sum_a, sum_b from generations where generation = ?',
      generation,
    )
    .one();
  return { cells: row.cells, events: row.events, sumA: row.sum_a, sumB: row.sum_b };
}

/** The values of those of these cells that a generation has, each with its place in the list. */
function selectAt(
  sql: SqlStorage,
  generation: number,
  wanted: readonly { readonly id: number; readonly cell: Cell }[],
): { at: number; amount: number; last_at: number; state: string }[] {
  return sql
    .exec<{ at: number; amount: number; last_at: number; state: string }>(
      `select wanted.key as at, c.amount, c.last_at, c.state from json_each(?) wanted cross join cells c
       on c.generation = ? and c.key = wanted.value ->> 0 and c.feature = wanted.value ->> 1
         and c.bucket = wanted.value ->> 2 and c.item = wanted.value ->> 3`,
      JSON.stringify(wanted.map(({ id, cell: { key, bucket, item } }) => [key, id, bucket, item])),
      generation,
    )
    .toArray();
}

/** Parts that fit into one parameter each, with the longest states that their rows may get. */
function statementsOf<Wanted extends { readonly cell: Cell }>(wanted: readonly Wanted[]): Wanted[][] {
  const parts: Wanted[][] = [];
  let room = 0;
  for (const one of wanted) {
    const bytes = CELL_BYTES_MAX + (one.cell.state === NO_STATE ? 0 : STATE_BYTES_MAX);
    if (bytes > room) {
      parts.push([]);
      room = SQL_VALUE_BYTES_MAX;
    }
    parts.at(-1)?.push(one);
    room -= bytes;
  }
  return parts;
}
