import { PASS_CHANGES_MAX, type RelayPorts, relayPass } from './relay.ts';

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
      relayed += pass;
      if (pass < limit) return relayed;
      this.#limit = Math.min(PASS_CHANGES_MAX, limit * 2);
    }
  }

  async #pass(ports: RelayPorts, limit: number): Promise<number> {
    try {
      return await relayPass(ports, limit);
    } catch (error) {
      if (this.#ports.isTimeout(error)) this.#limit = Math.ceil(limit / SHRINK);
      throw error;
    }
  }
}
