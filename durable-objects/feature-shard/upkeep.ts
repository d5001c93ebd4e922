import { addDigests, EMPTY_DIGEST } from '../../src/features/digest.ts';
import { BUCKET_MS, expiredTiles, horizonOf } from '../../src/features/retention.ts';
import { type CellRow, COLUMNS, deleteExpired, type Selected } from './cells.ts';
import { endOldVersions, type KeptFeatures } from './features.ts';
import { changeTotals } from './generation.ts';
import { moveLegacyPart } from './legacy.ts';
import { changeState, readState, type ShardState } from './state.ts';
import { packPart } from './unpacked.ts';

/** The most work of one step of upkeep. Calls to the shard wait for one step at most. */
export interface StepLimits {
  /** Rows that a step moves, compares or deletes, each a cell or a pack. */
  readonly rows: number;
  /** Keys whose expired cells a step deletes. */
  readonly keys: number;
}

/** A step takes some 20 ms. */
export const STEP_LIMITS: StepLimits = { rows: 500, keys: 250 };

/**
 * Does one step of what has to be done beside folds and reads, and returns whether anything is left to do now: it moves
 * tables of the first schema, packs cells of the release before packs, deletes stale generations, and sweeps expired cells once a day. Every step commits what it
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
    moveLegacyPart(sql, state, features, limits.rows);
    return true;
  }
  const stale = staleGeneration(sql, state);
  if (stale !== undefined) {
    deletePart(sql, stale, limits.rows);
    return true;
  }
  if (state.unpacked !== null) {
    packPart(sql, state, features, limits.rows);
    return true;
  }
  if (state.swept !== null) {
    sweepPart(sql, state, features, limits);
    return true;
  }
  const horizon = horizonOf(now);
  if (endOldVersions(sql, features, now)) {
    changeState(sql, state, { swept: '', compared: null });
    return true;
  }
  if (horizon <= state.horizon) return false;
  // A comparison that is under way begins again: both generations have to lack the same cells.
  changeState(sql, state, { horizon, swept: '', compared: null });
  return true;
}

/** Whether there is upkeep that need not wait for the next day. */
export function hasUpkeep(sql: SqlStorage): boolean {
  const state = readState(sql);
  return (
    state.legacy === 1 ||
    state.unpacked !== null ||
    state.swept !== null ||
    staleGeneration(sql, state) !== undefined
  );
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
 * Deletes the expired cells of the next keys of the served generation. It goes from key to key and reads the rows that
 * have expired since the last sweep, beside one look-up for each key and range of tiles.
 */
function sweepPart(sql: SqlStorage, state: ShardState, features: KeptFeatures, limits: StepLimits): void {
  const { served, horizon } = state;
  const ranges = rangesToSweep(state, features);
  let swept = state.swept ?? '';
  let digest = EMPTY_DIGEST;
  let rows = 0;
  for (let keys = 0; keys < limits.keys && rows < limits.rows; keys += 1) {
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
      changeState(sql, state, { swept: null, cleaned: horizon });
      return;
    }
    swept = found.key;
    const looked = ranges.flatMap((range) => rowsWithin(sql, served, found.key, range));
    rows += looked.length;
    const { change } = deleteExpired(sql, served, looked, { features, horizon });
    digest = addDigests([digest, change]);
  }
  changeTotals(sql, served, digest);
  changeState(sql, state, { swept });
}

/** Rows of a key by their column `feature`, with tiles from `from` up to but not including `until`. */
interface Range {
  readonly feature: number;
  readonly from: number;
  readonly until: number;
}

const ALL_TILES = { from: Number.MIN_SAFE_INTEGER, until: Number.MAX_SAFE_INTEGER };

/** Where expired cells can be that the last sweep did not find; no two ranges have a row in common. */
function rangesToSweep({ cleaned, horizon }: ShardState, features: KeptFeatures): Range[] {
  const ranges = [
    ...features.current.map((feature) => ({
      feature: feature.pack ?? feature.id,
      ...expiredTiles(feature, { cleaned, horizon }),
    })),
    // A row that the release before packs wrote is not packed any more once its feature is retired.
    ...features.retired.flatMap(({ id, pack }) =>
      [id, ...(pack === null ? [] : [pack])].map((feature) => ({ feature, ...ALL_TILES })),
    ),
  ];
  const inOrder = ranges
    .filter(({ from, until }) => from < until)
    .sort((a, b) => a.feature - b.feature || a.from - b.from);
  const apart: Range[] = [];
  for (const range of inOrder) {
    const before = apart.at(-1);
    if (before === undefined || before.feature !== range.feature || before.until < range.from)
      apart.push(range);
    else apart.splice(-1, 1, { ...before, until: Math.max(before.until, range.until) });
  }
  return apart;
}

function rowsWithin(
  sql: SqlStorage,
  generation: number,
  key: string,
  { feature, from, until }: Range,
): CellRow[] {
  return sql
    .exec<Selected>(
      `select ${COLUMNS} from cells
       where generation = ? and key = ? and feature = ? and bucket >= ? and bucket < ?`,
      generation,
      key,
      feature,
      from,
      until,
    )
    .toArray();
}
