import type { ClockMoment } from '../define/view.ts';
import type { PendingChange } from '../storage/postgres/outbox.ts';

/** Changes of one pass; their tags make one invalidation. */
export const PASS_CHANGES_MAX = 2_000;

export interface RelayPorts {
  readonly readPending: (limit: number) => Promise<readonly PendingChange[]>;
  /** Returns its moment once the root clock has the invalidation on disk. */
  readonly invalidate: (tags: readonly string[]) => Promise<ClockMoment>;
  /** Returns once the `changes` queue has taken them. */
  readonly publish: (changes: readonly PendingChange[], at: ClockMoment) => Promise<void>;
  readonly markRelayed: (outboxIds: readonly number[], at: ClockMoment) => Promise<void>;
}

/**
 * One pass over the outbox: what is pending is invalidated, published and then marked. A crash between any two
 * steps repeats the pass, which costs refills and folds that change nothing.
 *
 * @returns how many changes were relayed; `limit` of them means that there may be more.
 */
export async function relayPass(ports: RelayPorts, limit = PASS_CHANGES_MAX): Promise<number> {
  const changes = await ports.readPending(limit);
  if (changes.length === 0) return 0;
  const at = await ports.invalidate(changes.flatMap(({ tags }) => tags));
  await ports.publish(changes, at);
  await ports.markRelayed(
    changes.map(({ outboxId }) => outboxId),
    at,
  );
  return changes.length;
}
