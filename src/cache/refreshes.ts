import type { Time } from '../platform/clock.ts';
import type { FollowerContext } from './clock/follower.ts';

/** A refresh that runs longer than this, in milliseconds, counts as cancelled with its request. */
const REFRESH_LEASE_MS = 10_000;
/**
 * The most refreshes of one isolate at a time. A cancelled request does not remove its key, so keys beyond their lease are
 * removed when the map is full.
 */
export const REFRESHING_MAX = 1_000;
/**
 * The most refreshes at a time beyond which no entry is refreshed ahead of its expiry. Such an entry is still fresh, so
 * its next read tries again. Fills of 300 ms still allow a hundred refreshes a second: 30,000 entries of five minutes.
 */
export const AHEAD_MAX = 32;

export interface RefreshPorts {
  readonly time: Time;
  readonly context: Pick<FollowerContext, 'keepAlive'>;
  /** Start of each background refresh of this isolate by key, in milliseconds since the Unix epoch. */
  readonly refreshing: Map<string, number>;
}

/**
 * Refills an entry after its answer was sent. One refresh per key and isolate runs at a time. If too many run, none
 * begins: the next read of the key tries again.
 *
 * @param isAhead whether the entry is still fresh.
 */
export function refreshInBackground(
  { key, isAhead }: { readonly key: string; readonly isAhead: boolean },
  refill: () => Promise<unknown>,
  { refreshing, time, context }: RefreshPorts,
): void {
  const nowMs = time.now();
  if (nowMs - (refreshing.get(key) ?? Number.NEGATIVE_INFINITY) < REFRESH_LEASE_MS) return;
  const max = isAhead ? AHEAD_MAX : REFRESHING_MAX;
  if (refreshing.size >= max) {
    for (const [other, begunMs] of refreshing)
      if (nowMs - begunMs >= REFRESH_LEASE_MS) refreshing.delete(other);
    if (refreshing.size >= max) return;
  }
  refreshing.set(key, nowMs);
  const refresh = refill()
    .catch(() => undefined)
    .finally(() => refreshing.delete(key));
  context.keepAlive(refresh);
}
