import { addDigests, EMPTY_DIGEST } from '../../src/features/digest.ts';
import { BUCKET_MS, horizonOf, oldestTile } from '../../src/features/retention.ts';
import { type CellRow, changeTotals, deleteRows } from './cells.ts';
import type { KeptFeatures } from './features.ts';
import { moveLegacyPart } from './legacy.ts';
import { changeState, readState, type ShardState } from './state.ts';

/** The most work of one step of upkeep. Calls to the shard wait for one step at most. */
export interface StepLimits {
  /** Cells that a step moves, compares or deletes. */
  readonly cells: number;
  /** Keys whose expired cells a step deletes. */
  readonly keys: number;
}

/** A step takes some 20 ms. */
export const STEP_LIMITS: StepLimits = { cells: 2_000, keys: 250 };

/**
 * Does one step of what has to be done beside folds and reads, and returns whether anything is left to do now: it moves
 * tables of the first schema, deletes stale generations, and sweeps expired cells once a day. Every step commits what it
 * did together with how far it came, so an eviction repeats or skips nothing.
 */
export function stepUpkeep(
  sql: SqlStorage,
  features: KeptFeatures,
  now: number,
  limits: StepLimits,
): boolean {
  const state = readState(sql);
  // Without features, no fold or read has named the shard's entity yet, so what its cells belong to is not known.
  if (state.legacy === 1 && features.current.length > 0) {
    moveLegacyPart(sql, state, features, limits.cells);
    return true;
  }
  const stale = staleGeneration(sql, state);
  if (stale !== undefined) {
    deletePart(sql, stale, limits.cells);
    return true;
  }
  if (state.swept !== null) {
    sweepPart(sql, state, features, limits);
    return true;
  }
  const horizon = horizonOf(now);
  if (horizon <= state.horizon) return false;
  // A comparison that is under way begins again: both generations have to lack the same cells.
  changeState(sql, state, { horizon, swept: '', compared: null });
  return true;
}

/** Whether there is upkeep that need not wait for the next day. */
export function hasUpkeep(sql: SqlStorage): boolean {
  const state = readState(sql);
  return state.legacy === 1 || state.swept !== null || staleGeneration(sql, state) !== undefined;
}

/** When a shard without other upkeep begins its next sweep: at the beginning of the next day, in UTC. */
export function nextSweepAt(now: number): number {
  return (Math.floor(now / BUCKET_MS) + 1) * BUCKET_MS;
}

function staleGeneration(sql: SqlStorage, { served, next }: ShardState): number | undefined {
  return sql
    .exec<{ generation: number }>(
      `select generation from generations
       where generation not in (?, ?) and generation not in (select layer from layers) limit 1`,
      served,
      next ?? served,
    )
    .toArray()[0]?.generation;
}

/** Deletes the first rows of a stale generation; at last its row. */
function deletePart(sql: SqlStorage, generation: number, limit: number): void {
  for (const [table, columns] of [
    ['cells', ['key', 'feature', 'bucket', 'item']],
    ['folded', ['block']],
  ] as const) {
    const order = columns.join(', ');
    const [until] = sql
      .exec<Record<string, string | number>>(
        `select ${order} from ${table} where generation = ? order by ${order} limit 1 offset ?`,
        generation,
        limit - 1,
      )
      .toArray();
    const bounds = until === undefined ? [] : columns.map((column) => until[column]);
    const range = until === undefined ? '' : `and (${order}) <= (${columns.map(() => '?').join(', ')})`;
    sql.exec(`delete from ${table} where generation = ? ${range}`, generation, ...bounds);
    if (until !== undefined) return;
  }
  sql.exec('delete from generations where generation = ?', generation);
}

/**
 * Deletes the expired cells of the next keys of the served generation. It goes from key to key and reads the expired
 * cells alone, beside one look-up for each key and feature.
 */
function sweepPart(sql: SqlStorage, state: ShardState, features: KeptFeatures, limits: StepLimits): void {
  const { served, horizon } = state;
  const before = [
    ...features.current
      .filter(({ tiles }) => tiles > 0)
      .map((feature) => [feature.id, oldestTile(feature, horizon)] as const),
    ...features.retired.map(({ id }) => [id, Number.MAX_SAFE_INTEGER] as const),
  ];
  let swept = state.swept ?? '';
  let digest = EMPTY_DIGEST;
  let deleted = 0;
  for (let keys = 0; keys < limits.keys && deleted < limits.cells; keys += 1) {
    // The first key is looked up with its own text, because a key may be empty.
    const [found] = sql
      .exec<{ key: string }>(
        `select key from cells where generation = ? and key ${state.swept === '' && keys === 0 ? '>=' : '>'} ?
         order by key limit 1`,
        served,
        swept,
      )
      .toArray();
    if (found === undefined) {
      changeTotals(sql, served, digest);
      sql.exec('delete from features where retired = 1');
      changeState(sql, state, { swept: null });
      return;
    }
    swept = found.key;
    const expired = expiredOf(sql, served, swept, before);
    deleted += expired.length;
    digest = addDigests([digest, deleteRows(sql, served, expired, features)]);
  }
  changeTotals(sql, served, digest);
  changeState(sql, state, { swept });
}

function expiredOf(
  sql: SqlStorage,
  generation: number,
  key: string,
  before: readonly (readonly [feature: number, bucket: number])[],
): CellRow[] {
  return before.flatMap(([feature, bucket]) =>
    sql
      .exec<{ [Column in keyof CellRow]: CellRow[Column] }>(
        `select key, feature, bucket, item, amount, last_at, state from cells
         where generation = ? and key = ? and feature = ? and bucket < ?`,
        generation,
        key,
        feature,
        bucket,
      )
      .toArray(),
  );
}
