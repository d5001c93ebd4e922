import { addNumber, bitmapOf, blockOf, hasNumber, storedBlock } from '../../src/features/folded-numbers.ts';
import { COLUMNS, deleteRows, type Selected } from './cells.ts';
import type { KeptFeatures } from './features.ts';
import { changeTotals } from './generation.ts';
import { moveLegacy } from './legacy.ts';
import { changeState, type ShardState } from './state.ts';

/** What a step of an erasure comes to, and the keys whose cells it has changed. */
export interface Erased<T> {
  readonly result: T;
  readonly changed?: readonly { readonly key: string }[];
}

/**
 * What an erasure does to a shard (src/operations/erasure). Its events are gone from the history; messages with them may
 * still be under way, and pages of a backfill or a rebuild that were read before. So the shard remembers their numbers, which
 * say nothing of their content, and folds none of them.
 */
export function noteErased(sql: SqlStorage, state: ShardState, seqs: readonly number[]): void {
  if (seqs.length === 0) return;
  for (const [block, own] of Map.groupBy(seqs, blockOf)) {
    const bitmap = bitmapOf(storedNumbers(sql, block));
    for (const seq of own) addNumber(bitmap, seq);
    sql.exec(
      'insert into erased (block, numbers) values (?, ?) on conflict (block) do update set numbers = excluded.numbers',
      ...[block, storedBlock(bitmap)],
    );
  }
  if (state.erased === 0) changeState(sql, state, { erased: 1 });
}

/** The events that were not erased. A shard without erased events reads nothing for it. */
export function withoutErased<Event extends { readonly seq: number }>(
  sql: SqlStorage,
  { erased }: ShardState,
  events: readonly Event[],
): readonly Event[] {
  if (erased === 0) return events;
  const blocks = new Map(
    [...new Set(events.map(({ seq }) => blockOf(seq)))].flatMap((block) => {
      const stored = storedNumbers(sql, block);
      return stored === undefined ? [] : [[block, bitmapOf(stored)] as const];
    }),
  );
  return events.filter(({ seq }) => {
    const bitmap = blocks.get(blockOf(seq));
    return bitmap === undefined || !hasNumber(bitmap, seq);
  });
}

/** Removes rows of a key from all generations, at most `limit` of each, and the note that a flip has changed it. */
export function forgetKey(
  sql: SqlStorage,
  state: ShardState,
  features: KeptFeatures,
  { key, limit }: { readonly key: string; readonly limit: number },
): Erased<{ readonly rows: number; readonly isMore: boolean }> {
  if (state.legacy === 1) moveLegacy(sql, state, features, { keys: [key], events: [] });
  const removed = generationsOf(sql).map((generation) => {
    const rows = sql
      .exec<Selected>(
        `select ${COLUMNS} from cells where generation = ? and key = ? limit ?`,
        ...[generation, key, limit],
      )
      .toArray();
    if (rows.length > 0) changeTotals(sql, generation, deleteRows(sql, generation, rows, features));
    return rows.length;
  });
  sql.exec('delete from changed where key = ?', key);
  const rows = removed.reduce((sum, n) => sum + n, 0);
  return { result: { rows, isMore: removed.some((n) => n === limit) }, changed: rows === 0 ? [] : [{ key }] };
}

/** How many rows of a key there are, over all generations. */
export function rowsOfKey(sql: SqlStorage, key: string): number {
  const counts = generationsOf(sql).map(
    (generation) =>
      sql
        .exec<{ n: number }>(
          'select count(*) as n from cells where generation = ? and key = ?',
          generation,
          key,
        )
        .one().n,
  );
  return counts.reduce((sum, n) => sum + n, 0);
}

function generationsOf(sql: SqlStorage): number[] {
  return sql
    .exec<{ generation: number }>('select generation from generations')
    .toArray()
    .map(({ generation }) => generation);
}

function storedNumbers(sql: SqlStorage, block: number): Uint8Array | undefined {
  const [row] = sql
    .exec<{ numbers: ArrayBuffer }>('select numbers from erased where block = ?', block)
    .toArray();
  return row === undefined ? undefined : new Uint8Array(row.numbers);
}
