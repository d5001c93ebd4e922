import type { FlipOutcome, FlipStep } from '../../src/features/rebuild.ts';
import { BEGINNING, type CellRow, deleteExpired, type Position, pageOf, positionOf } from './cells.ts';
import { endOldVersions, type KeptFeatures, newGeneration, serveAll } from './features.ts';
import { changeTotals, totalsOf } from './generation.ts';
import { changeState, readState, type ShardState } from './state.ts';

/**
 * Opens an empty next generation. The same run again changes nothing; another open run becomes stale. It ends replaced
 * versions of features, because their functions are gone: the next generation cannot have their cells.
 */
export function beginRebuild(sql: SqlStorage, state: ShardState, features: KeptFeatures, run: string): void {
  if (state.run === run) return;
  if (endOldVersions(sql, features, Number.POSITIVE_INFINITY)) changeState(sql, state, { swept: '' });
  const next = newGeneration(sql);
  changeState(sql, state, { next, run, flipped: null, compared: null });
}

/**
 * One step towards serving the next generation. First the two generations are compared, a bounded number of rows in
 * each step, and the keys that differ are recorded until `settle` removes them. The last step changes the number of the
 * served generation, and serves the features that were being filled. Meanwhile live events are folded into both, so what was compared stays equal.
 */
export function stepFlip(sql: SqlStorage, run: string, features: KeptFeatures, limit: number): FlipStep {
  const state = readState(sql);
  if (state.run !== run) return { state: 'superseded' };
  if (state.flipped !== null) return { state: 'flipped', outcome: JSON.parse(state.flipped) as FlipOutcome };
  const { next } = state;
  if (next === null) return { state: 'superseded' };
  const compared = comparePart(sql, state, next, features, limit);
  if (compared !== undefined) {
    changeState(sql, state, { compared: JSON.stringify(compared) });
    return { state: 'comparing' };
  }
  const outcome = { before: totalsOf(sql, state.served), after: totalsOf(sql, next) };
  serveAll(sql);
  changeState(sql, state, {
    served: next,
    next: null,
    flipped: JSON.stringify(outcome),
    compared: null,
    swept: null,
  });
  return { state: 'flipped', outcome };
}

/** Compares the next rows of both generations, and returns the last of them; undefined once all are compared. */
function comparePart(
  sql: SqlStorage,
  { served, compared, horizon }: ShardState,
  next: number,
  features: KeptFeatures,
  limit: number,
): Position | undefined {
  const after = compared === null ? BEGINNING : (JSON.parse(compared) as Position);
  let live = pageOf(sql, served, { after, limit });
  let until = live.length < limit ? undefined : last(live);
  const built = pageOf(sql, next, { after, until, limit });
  if (built.length === limit) {
    until = last(built);
    live = pageOf(sql, served, { after, until, limit });
  }
  const keep = (generation: number, rows: readonly CellRow[]) => {
    // Expired cells are no difference: one generation may be swept further than the other.
    const { left, change } = deleteExpired(sql, generation, rows, { features, horizon });
    if (change.cells !== 0) changeTotals(sql, generation, change);
    return left;
  };
  recordChanged(sql, differingKeys(keep(served, live), keep(next, built)));
  return until;
}

/**
 * Records the keys of events that only one of both generations counts from now on: in the other they counted before the
 * rows were compared, so their keys may differ now.
 */
export function recordUneven<Event>(
  sql: SqlStorage,
  fresh: readonly Event[],
  built: readonly Event[],
  cellsOf: (event: Event) => readonly { readonly key: string }[],
): void {
  const [first, second] = [new Set(fresh), new Set(built)];
  const uneven = [...fresh, ...built].filter((event) => !first.has(event) || !second.has(event));
  recordChanged(
    sql,
    uneven.flatMap(cellsOf).map(({ key }) => key),
  );
}

/** Records keys whose answers a flip will change. */
function recordChanged(sql: SqlStorage, keys: Iterable<string>): void {
  sql.exec(
    'insert into changed (key) select value from json_each(?) where true on conflict do nothing',
    JSON.stringify([...keys]),
  );
}

/** Keys that flips have changed and that have not been invalidated yet, at most `limit`. */
export function changedKeys(sql: SqlStorage, limit: number): string[] {
  return sql
    .exec<{ key: string }>('select key from changed order by key limit ?', limit)
    .toArray()
    .map(({ key }) => key);
}

/** Those of these keys that flips have changed and that have not been invalidated yet. */
export function changedAmong(sql: SqlStorage, keys: readonly string[]): string[] {
  if (sql.exec('select 1 from changed limit 1').toArray().length === 0) return [];
  return sql
    .exec<{ key: string }>(
      'select key from changed where key in (select value from json_each(?))',
      JSON.stringify(keys),
    )
    .toArray()
    .map(({ key }) => key);
}

/** Removes changed keys after they have been invalidated. */
export function settle(sql: SqlStorage, keys: readonly string[]): void {
  sql.exec('delete from changed where key in (select value from json_each(?))', JSON.stringify(keys));
}

/** The keys of the rows that are not the same in both lists. */
function differingKeys(a: readonly CellRow[], b: readonly CellRow[]): Set<string> {
  const ofA = new Map(a.map((row) => [JSON.stringify(positionOf(row)), row]));
  const differing = new Set<string>();
  for (const row of b) {
    const place = JSON.stringify(positionOf(row));
    const other = ofA.get(place);
    ofA.delete(place);
    const isSame = other?.amount === row.amount && other.last_at === row.last_at && other.state === row.state;
    if (!isSame) differing.add(row.key);
  }
  for (const { key } of ofA.values()) differing.add(key);
  return differing;
}

function last(rows: readonly CellRow[]): Position | undefined {
  const row = rows.at(-1);
  return row === undefined ? undefined : positionOf(row);
}
