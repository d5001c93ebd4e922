import { ShardMoved } from '../../src/features/layout.ts';
import { newGeneration } from './features.ts';
import { changeState, type ShardState } from './state.ts';

/** @throws ShardMoved if other shards have the keys of this one. */
export function assertHere({ moved, moves_to: to }: ShardState): void {
  if (moved === 1 && to !== null) throw new ShardMoved('moved', to);
}

/**
 * @param copiedTo the number of shards of the layout into which the caller has folded the same events before.
 * @throws ShardMoved if other shards have the keys of this one, or are being filled with them and the caller has not
 *   folded the events there.
 */
export function assertTakes(state: ShardState, copiedTo: number | undefined): void {
  assertHere(state);
  const { moves_to: to } = state;
  if (to !== null && to !== copiedTo) throw new ShardMoved('copied', to);
}

/**
 * From now on an event is folded here only by a caller who has folded it into the other layout. Idempotent.
 *
 * @param to the number of shards of the other layout.
 * @throws Error while upkeep copies cells of the first schema: it could copy cells that the move has deleted.
 */
export function openMove(sql: SqlStorage, state: ShardState, to: number): void {
  if (state.moved === 1 && state.moves_to === to) return;
  assertHere(state);
  if (state.legacy === 1)
    throw new Error('The shard still moves its cells of an earlier release. Try again later.');
  changeState(sql, state, { moves_to: to });
}

/** Ends a move that is open; this shard goes on alone. Idempotent. */
export function cancelMove(sql: SqlStorage, state: ShardState): void {
  assertHere(state);
  if (state.moves_to !== null) changeState(sql, state, { moves_to: null });
}

/**
 * The other layout has the keys from now on. It changes one row: what this shard had is a stale generation, which upkeep
 * deletes in bounded steps. Idempotent.
 *
 * @returns false if no move to that layout is open.
 */
export function endMove(sql: SqlStorage, state: ShardState, to: number): boolean {
  if (state.moves_to !== to) return false;
  if (state.moved === 1) return true;
  const served = newGeneration(sql);
  // Features that were being filled here are filled there.
  sql.exec('update features set layer = null');
  sql.exec('delete from layers');
  sql.exec('delete from changed');
  changeState(sql, state, {
    ...{ moved: 1, served, next: null, run: null, flipped: null },
    ...{ compared: null, unpacked: null, swept: null },
  });
  return true;
}
