import { log } from '../../platform/logger.ts';
import type { Region } from '../../platform/regions.ts';
import type { Clock } from './clock.ts';
import { type Delta, encodeDelta } from './delta.ts';

/** A region that has not synced for this long has no active readers, in milliseconds. */
export const READERS_GONE_MS = 60_000;

interface Subscriber {
  askedAtMs: number;
  /** Pushes up to this `seq` have arrived; a later push may be in flight. */
  pushedSeq: number;
  busy: boolean;
}

/**
 * The regions that the root pushes to: those that synced recently. One push per region is in flight at a time;
 * changes that come meanwhile go with the next push. A lost push costs freshness until the region's next sync.
 */
export class PushList {
  readonly #subscribers = new Map<Region, Subscriber>();

  /** Records a region that asked and was answered up to `seq`. */
  add(region: Region, seq: number, nowMs: number): void {
    const known = this.#subscribers.get(region);
    if (known === undefined) this.#subscribers.set(region, { askedAtMs: nowMs, pushedSeq: seq, busy: false });
    else {
      known.askedAtMs = nowMs;
      known.pushedSeq = Math.max(known.pushedSeq, seq);
    }
  }

  /** Starts a push to every active region and removes the inactive ones. Returns at once. */
  push(clock: Clock, nowMs: number, send: (region: Region, pushed: Delta) => Promise<void>): void {
    for (const [region, subscriber] of this.#subscribers) {
      if (nowMs - subscriber.askedAtMs > READERS_GONE_MS) this.#subscribers.delete(region);
      else if (!subscriber.busy) void this.#drain(region, subscriber, clock, send);
    }
  }

  async #drain(
    region: Region,
    subscriber: Subscriber,
    clock: Clock,
    send: (region: Region, pushed: Delta) => Promise<void>,
  ): Promise<void> {
    subscriber.busy = true;
    try {
      while (subscriber.pushedSeq < clock.seq) {
        const delta = encodeDelta(clock, subscriber.pushedSeq);
        await send(region, delta);
        subscriber.pushedSeq = Math.max(subscriber.pushedSeq, delta.seq);
      }
    } catch (error) {
      log(
        'info',
        'A push to a region failed; its next sync catches up.',
        { 'event.action': 'clock-push', 'millrace.region': region },
        error,
      );
    } finally {
      subscriber.busy = false;
    }
  }
}
