/** The one row of the table `shard`. */
export interface ShardState {
  /** The generation that reads use and live events are folded into. */
  readonly served: number;
  /** The generation that the open rebuild fills, and live events are folded into as well; null if none is open. */
  readonly next: number | null;
  /** The open rebuild, or the last one that was flipped. */
  readonly run: string | null;
  /** The outcome of `run`, as JSON, once it is flipped. */
  readonly flipped: string | null;
  /** The last cell up to which the two generations are compared, as JSON; null before the comparison begins. */
  readonly compared: string | null;
  /** The earliest day as of which reads are answered. */
  readonly horizon: number;
  /** The last key that the current sweep has finished; null if no sweep is under way. */
  readonly swept: string | null;
  /** The horizon of the last sweep that came to its end; 0 if there was none, or windows have become shorter since. */
  readonly cleaned: number;
  /** 1 while tables of the first schema have rows. */
  readonly legacy: number;
  /** The last row up to which cells of the release before packs are packed, as JSON; null once all are. */
  readonly unpacked: string | null;
  /** Of events with lesser numbers that were folded it is not known whether their keys were invalidated. */
  readonly tracked_from: number;
  /** The number of shards of the layout that gets the keys of this one, or has them; null without a move. */
  readonly moves_to: number | null;
  /** 1 once the keys are in that layout: this shard has no cells any more. */
  readonly moved: number;
  /** 1 once events were erased that this shard may be sent again. */
  readonly erased: number;
}

export function readState(sql: SqlStorage): ShardState {
  return sql
    .exec<{ [Column in keyof ShardState]: ShardState[Column] }>(
      'select served, next, run, flipped, compared, horizon, swept, cleaned, legacy, unpacked, tracked_from, moves_to, moved, erased from shard',
    )
    .one();
}

/** Changes some columns of the row, and returns the new state. */
export function changeState(sql: SqlStorage, state: ShardState, change: Partial<ShardState>): ShardState {
  const columns = Object.keys(change);
  sql.exec(`update shard set ${columns.map((name) => `${name} = ?`).join(', ')}`, ...Object.values(change));
  return { ...state, ...change };
}
