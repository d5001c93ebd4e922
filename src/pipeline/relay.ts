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

/** What a pass relayed. */
export interface Relayed {
  /** `limit` of them means that there may be more. */
  readonly changes: number;
  /** Those of the live lane. */
  readonly live: number;
}

/**
 * One pass over the outbox: it invalidates the pending changes, publishes them, then marks them as relayed. A crash
 * between two steps repeats the pass. That costs cache refills, and folds that ignore the duplicates. Live changes come
 * first, so a pass that is not full of them relays every live change that was committed before it began.
 */
export async function relayPass(ports: RelayPorts, limit = PASS_CHANGES_MAX): Promise<Relayed> {
  const changes = await ports.readPending(limit);
  if (changes.length === 0) return { changes: 0, live: 0 };
  const at = await ports.invalidate(changes.flatMap(({ tags }) => tags));
  await ports.publish(changes, at);
  await ports.markRelayed(
    changes.map(({ outboxId }) => outboxId),
    at,
  );
  return { changes: changes.length, live: changes.filter(({ lane }) => lane === 'live').length };
}

export interface SweeperPorts {
  /** Made for each sweep. */
  readonly relay: () => RelayPorts;
  /** Opens a pass over the outbox at the root clock. The returned call closes it, once everything found is invalidated. */
  readonly openPass: () => Promise<() => Promise<void>>;
  /** Whether an error shows that a query took too long. */
  readonly isTimeout: (error: unknown) => boolean;
}

/** A pass that took too long is divided by this. Without it, the next sweep would take as long and fail again. */
const SHRINK = 4;

/** The only sweeper of an outbox. One sweep runs at a time; calls that arrive during a sweep share the next one. */
export class Sweeper {
  readonly #ports: SweeperPorts;
  /** Changes of one pass: fewer after a pass that took too long, twice as many after a full one. */
  #limit = PASS_CHANGES_MAX;
  #running: Promise<number> = Promise.resolve(0);
  /** Starts when the running sweep has ended: that one may have read the outbox before the caller's commit. */
  #next: Promise<number> | undefined;
  /** Callers of `sweepLive`, each with the call that ends its wait. */
  readonly #live = new Set<() => void>();

  constructor(ports: SweeperPorts) {
    this.#ports = ports;
  }

  /**
   * Relays everything that was committed before the call. Each call waits for at most two sweeps: the one that runs
   * and the next.
   *
   * @returns how many changes the sweep relayed.
   */
  async sweep(): Promise<number> {
    this.#next ??= this.#after(this.#running);
    return await this.#next;
  }

  /**
   * Relays every live change that was committed before the call. It waits for the running pass and its own, and not for
   * the bulk changes that a sweep relays after them.
   */
  async sweepLive(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#live.add(resolve);
    // A pass of the running sweep may serve the caller. If it fails, the next sweep decides.
    this.sweep().then(() => resolve(), reject);
    try {
      await promise;
    } finally {
      this.#live.delete(resolve);
    }
  }

  /**
   * Relays everything that was committed before the call, then moves the outbox's watermark up to it. A sweep that
   * fails leaves the watermark where it is, so readers see that the outbox is behind.
   */
  async heartbeat(): Promise<void> {
    const closePass = await this.#ports.openPass();
    await this.sweep();
    await closePass();
  }

  async #after(earlier: Promise<number>): Promise<number> {
    // The caller of the earlier sweep handles that sweep's error. This sweep runs regardless.
    await earlier.catch(() => undefined);
    const sweeping = this.#sweepAll();
    this.#running = sweeping;
    this.#next = undefined;
    return await sweeping;
  }

  async #sweepAll(): Promise<number> {
    const ports = this.#ports.relay();
    let relayed = 0;
    for (;;) {
      const limit = this.#limit;
      const pass = await this.#pass(ports, limit);
      relayed += pass.changes;
      if (pass.changes < limit) return relayed;
      this.#limit = Math.min(PASS_CHANGES_MAX, limit * 2);
    }
  }

  async #pass(ports: RelayPorts, limit: number): Promise<Relayed> {
    // Only callers from before the pass: it may have read the outbox before a later caller's commit.
    const served = [...this.#live];
    try {
      const pass = await relayPass(ports, limit);
      if (pass.live < limit) for (const resolve of served) resolve();
      return pass;
    } catch (error) {
      if (this.#ports.isTimeout(error)) this.#limit = Math.ceil(limit / SHRINK);
      throw error;
    }
  }
}
