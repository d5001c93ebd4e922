import type { ClockMoment } from '../define/view.ts';
import type { PendingChange } from '../storage/postgres/outbox.ts';

/** Changes of one pass. Their tags are invalidated together. */
export const PASS_CHANGES_MAX = 2_000;

export interface RelayPorts {
  readonly readPending: (limit: number) => Promise<readonly PendingChange[]>;
  /** Returns the moment of the invalidation once the root clock has it on disk. */
  readonly invalidate: (tags: readonly string[]) => Promise<ClockMoment>;
  /** Returns once the `changes` queue has the changes. */
  readonly publish: (changes: readonly PendingChange[], at: ClockMoment) => Promise<void>;
  readonly markRelayed: (outboxIds: readonly number[], at: ClockMoment) => Promise<void>;
}

/**
 * One pass over the outbox: it invalidates the pending changes, publishes them, then marks them as relayed. A crash
 * between two steps repeats the pass. That costs cache refills, and folds that ignore the duplicates.
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
