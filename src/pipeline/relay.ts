import type { ClockMoment } from '../define/view.ts';
import { Failure } from '../platform/failure.ts';
import type { PendingChange, PendingPage, PendingWish } from '../storage/postgres/outbox.ts';

/** Changes of one pass. Their tags are invalidated together. */
export const PASS_CHANGES_MAX = 2_000;

export interface RelayPorts {
  readonly readPending: (wish: PendingWish) => Promise<PendingPage>;
  /** Returns the moment of the invalidation once the root clock has it on disk. */
  readonly invalidate: (tags: readonly string[]) => Promise<ClockMoment>;
  /** Returns once the `changes` queue has the changes. */
  readonly publish: (changes: readonly PendingChange[], at: ClockMoment) => Promise<void>;
  readonly markRelayed: (outboxIds: readonly number[], at: ClockMoment) => Promise<void>;
  /** Runs the steps of a pass within the traces of its changes; absent where nothing is traced. */
  readonly inTrace?: (
    changes: readonly PendingChange[],
    relay: (ports: RelayPorts, changes: readonly PendingChange[]) => Promise<void>,
  ) => Promise<void>;
}

/** What a pass relayed. */
export interface Relayed {
  readonly changes: number;
  /** Whether more changes were pending than the pass took. */
  readonly isFull: boolean;
  /** Whether the pass took every live change that was pending. */
  readonly allLive: boolean;
  /** The greatest number of a change that was pending; undefined if none was. */
  readonly newestId: number | undefined;
  /** The number of the last change that the pass took; undefined if it took none. */
  readonly lastId: number | undefined;
}

/**
 * One pass over the outbox: it invalidates the pending changes, publishes them, then marks them as relayed. A crash
 * between two steps repeats the pass. That costs cache refills, and folds that ignore the duplicates. Live changes come
 * first, so a pass that takes a bulk change relays every live change that was committed before it began.
 *
 * @param invalidated called once the changes are invalidated; with the moment, if there were any.
 */
export async function relayPass(
  ports: RelayPorts,
  wish: PendingWish = { limit: PASS_CHANGES_MAX },
  invalidated: (pass: Relayed, at: ClockMoment | undefined) => void = () => undefined,
): Promise<Relayed> {
  const { changes, isFull, newestId } = await ports.readPending(wish);
  const allLive = !isFull || (wish.upTo === undefined && changes.some(({ lane }) => lane === 'bulk'));
  const lastId = changes.at(-1)?.outboxId;
  const relayed = { changes: changes.length, isFull, allLive, newestId, lastId };
  if (changes.length === 0) {
    invalidated(relayed, undefined);
    return relayed;
  }
  const relay = async (steps: RelayPorts, traced: readonly PendingChange[]) => {
    const at = await steps.invalidate(traced.flatMap(({ tags }) => tags));
    invalidated(relayed, at);
    await steps.publish(traced, at);
    await steps.markRelayed(
      traced.map(({ outboxId }) => outboxId),
      at,
    );
  };
  await (ports.inTrace?.(changes, relay) ?? relay(ports, changes));
  return relayed;
}

export interface SweeperPorts {
  /** Made for each sweep. */
  readonly relay: () => RelayPorts;
  /** Opens a pass over the outbox at the root clock. The returned call closes it, once everything found is invalidated. */
  readonly openPass: () => Promise<() => Promise<void>>;
  /** Whether the database refused a statement for what it says. Any other failure may come from the size of a pass. */
  readonly isRefused: (error: unknown) => boolean;
}

/**
 * A pass that failed is divided by this, unless the database refused a statement or the queue was away. Without it, the next sweep would be as
 * large and fail again: it may take too long, or be more than an answer of the database or the isolate can hold.
 */
const SHRINK = 4;

/** The only sweeper of an outbox. One sweep runs at a time; calls that arrive during a sweep share the next one. */
export class Sweeper {
  readonly #ports: SweeperPorts;
  /** Changes of one pass: fewer after a pass that failed, twice as many after a full one. */
  #limit = PASS_CHANGES_MAX;
  #running: Promise<number> = Promise.resolve(0);
  /** Starts when the running sweep has ended: that one may have read the outbox before the caller's commit. */
  #next: Promise<number> | undefined;
  /** Callers of `sweepLive`, each with the call that ends its wait. */
  readonly #live = new Set<() => void>();
  /** The moment of the last invalidation of this sweeper. */
  #lastAt: ClockMoment | undefined;
  #relayed = 0;

  constructor(ports: SweeperPorts) {
    this.#ports = ports;
  }

  /** How many changes this sweeper has relayed. */
  get relayed(): number {
    return this.#relayed;
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
   * Invalidates every live change that was committed before the call; the sweep publishes them afterwards. It waits for
   * the running pass and for the invalidation of its own, and not for the bulk changes that a sweep relays after them.
   *
   * @returns a moment at or after these invalidations; undefined if this sweeper has not invalidated anything yet.
   */
  async sweepLive(): Promise<ClockMoment | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#live.add(resolve);
    // A pass of the running sweep may serve the caller. If it fails, the next sweep decides.
    this.sweep().then(() => resolve(), reject);
    try {
      await promise;
      return this.#lastAt;
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

  /**
   * Relays the changes that were pending when the sweep began, and then ends, even if others commit faster than it
   * relays: the watermark advances only at its end. After a pass that had no room for bulk changes, the next takes the
   * oldest changes of both lanes.
   */
  async #sweepAll(): Promise<number> {
    const ports = this.#ports.relay();
    let relayed = 0;
    let upTo: number | undefined;
    for (;;) {
      const liveFirst = await this.#pass(ports, undefined);
      relayed += liveFirst.changes;
      if (!liveFirst.isFull) return relayed;
      upTo ??= liveFirst.newestId ?? 0;
      if (liveFirst.allLive) {
        // The bulk changes of the pass are the oldest ones.
        if ((liveFirst.lastId ?? 0) >= upTo) return relayed;
        continue;
      }
      const oldest = await this.#pass(ports, upTo);
      relayed += oldest.changes;
      if (!oldest.isFull) return relayed;
    }
  }

  async #pass(ports: RelayPorts, upTo: number | undefined): Promise<Relayed> {
    // Only callers from before the pass: it may have read the outbox before a later caller's commit.
    const served = [...this.#live];
    const limit = this.#limit;
    try {
      const wish = upTo === undefined ? { limit } : { limit, upTo };
      const pass = await relayPass(ports, wish, ({ allLive }, at) => {
        this.#lastAt = at ?? this.#lastAt;
        // The changes of a live caller may be newer than `upTo`.
        if (allLive && upTo === undefined) for (const resolve of served) resolve();
      });
      this.#relayed += pass.changes;
      // A full pass of fewer changes than its limit was as large as a page may be in bytes.
      if (pass.isFull) this.#limit = Math.min(PASS_CHANGES_MAX, pass.changes * 2);
      return pass;
    } catch (error) {
      if (!this.#ports.isRefused(error) && !isQueueAway(error)) this.#limit = Math.ceil(limit / SHRINK);
      throw error;
    }
  }
}

/** The queue gets messages of its own size, whatever a pass has: its failure is no reason to read less. */
function isQueueAway(error: unknown): boolean {
  return error instanceof Failure && error.code === 'queue_unavailable';
}
