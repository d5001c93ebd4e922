import { NO_STATE } from '../../src/features/algebra/state.ts';
import { EMPTY_DIGEST } from '../../src/features/digest.ts';
import type { Cell, FoldableEvent } from '../../src/features/fold.ts';
import { BLOCK_NUMBERS, blockOf } from '../../src/features/folded-numbers.ts';
import type { KeptFeatures } from './features.ts';
import { changeTotals, OpenGeneration } from './generation.ts';
import { dropLegacy } from './migrations.ts';
import type { ShardState } from './state.ts';
import { addInEitherForm } from './unpacked.ts';

type LegacyCell = {
  key: string;
  feature: string;
  bucket: number;
  item: string;
  amount: number;
  last_at: number;
};

const COLUMNS = 'key, feature, bucket, item, amount, last_at';

/**
 * Moves what the tables of the first schema contain into the served generation: before a key or a block of numbers is
 * used, and the rest in bounded steps. A row is in one place at any time, because the statements that move it commit
 * together. The caller has checked `state.legacy`, and runs each function in a transaction.
 */
export function moveLegacy(
  sql: SqlStorage,
  state: ShardState,
  features: KeptFeatures,
  { keys, events }: { readonly keys: readonly string[]; readonly events: readonly FoldableEvent[] },
): void {
  const wanted = JSON.stringify(keys);
  const cells = sql
    .exec<LegacyCell>(
      `select c.${COLUMNS.replaceAll(', ', ', c.')} from json_each(?) wanted cross join legacy_cells c
       on c.key = wanted.value`,
      wanted,
    )
    .toArray();
  if (cells.length > 0)
    sql.exec('delete from legacy_cells where key in (select value from json_each(?))', wanted);
  moveCells(sql, state, features, cells);
  for (const block of new Set(events.map(({ seq }) => blockOf(seq)))) moveBlock(sql, state, block);
}

/**
 * Moves a part of what is left: at most `limit` cells or the numbers of one block. After the last part it drops the
 * tables, which are empty by then.
 */
export function moveLegacyPart(
  sql: SqlStorage,
  state: ShardState,
  features: KeptFeatures,
  limit: number,
): void {
  const cells = sql
    .exec<LegacyCell>(
      `select ${COLUMNS} from legacy_cells order by key, feature, bucket, item limit ?`,
      limit,
    )
    .toArray();
  if (cells.length > 0) {
    deleteFirst(sql, 'legacy_cells', limit);
    moveCells(sql, state, features, cells);
    return;
  }
  const first = sql.exec<{ seq: number | null }>('select min(seq) as seq from legacy_folded').one().seq;
  if (first !== null) {
    moveBlock(sql, state, blockOf(first));
    return;
  }
  const isMore = (['legacy_next_cells', 'legacy_next_folded'] as const).some(
    (table) => has(sql, table) && deleteFirst(sql, table, limit) > 0,
  );
  if (!isMore) dropLegacy(sql);
}

function moveCells(
  sql: SqlStorage,
  state: ShardState,
  features: KeptFeatures,
  rows: readonly LegacyCell[],
): void {
  const cells = rows.map(({ last_at: lastAt, ...cell }): Cell => ({ ...cell, lastAt, state: NO_STATE }));
  if (cells.length > 0)
    changeTotals(sql, state.served, addInEitherForm(sql, state, state.served, features, cells));
}

function moveBlock(sql: SqlStorage, { served }: ShardState, block: number): void {
  const from = block * BLOCK_NUMBERS;
  const range = [from, from + BLOCK_NUMBERS - 1];
  const numbers = sql
    .exec<{ seq: number }>('select seq from legacy_folded where seq between ? and ?', ...range)
    .toArray();
  if (numbers.length === 0) return;
  sql.exec('delete from legacy_folded where seq between ? and ?', ...range);
  const generation = new OpenGeneration(sql, served);
  generation.add({ ...EMPTY_DIGEST, events: generation.takeFresh(numbers).length });
  generation.save();
}

const PRIMARY_KEYS = {
  legacy_cells: 'key, feature, bucket, item',
  legacy_next_cells: 'key, feature, bucket, item',
  legacy_next_folded: 'seq',
} as const;

/** Deletes the first rows of a table in the order of its primary key, and returns their number. */
function deleteFirst(sql: SqlStorage, table: keyof typeof PRIMARY_KEYS, limit: number): number {
  const columns = PRIMARY_KEYS[table];
  return sql
    .exec(
      `delete from ${table} where (${columns}) in (select ${columns} from ${table} order by ${columns} limit ?)
       returning 1`,
      limit,
    )
    .toArray().length;
}

function has(sql: SqlStorage, table: string): boolean {
  return (
    sql.exec("select 1 from sqlite_schema where type = 'table' and name = ?", table).toArray().length > 0
  );
}
