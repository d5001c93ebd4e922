/**
 * The two ways from a request to fresh answers. `live` is the default. `bulk` is for imports and backfills: its events
 * and their changes have queues of their own, so that a live event does not wait behind them.
 */
export const LANES = ['live', 'bulk'] as const;
export type Lane = (typeof LANES)[number];
