import { PASS_CHANGES_MAX, type RelayPorts, relayPass } from './relay.ts';

export interface SweeperPorts {
  /** Made for each sweep. */
  readonly relay: () => RelayPorts;
  /** Tells the clock that the outbox is about to be read. The returned call tells that it has been seen through. */
  readonly openPass: () => Promise<() => Promise<void>>;
  /** Whether an error says that a query took too long. */
  readonly isTimeout: (error: unknown) => boolean;
}

/** What a pass that took too long is divided by: the next sweep tries less, or it would fail for ever. */
const SHRINK = 4;

/** The one sweeper of an outbox: sweeps follow each other, and calls that come while one is under way share the next. */
export class Sweeper {
  readonly #ports: SweeperPorts;
  /** Changes of one pass: fewer after one that took too long, more again after those that were full. */
  #limit = PASS_CHANGES_MAX;
  #running: Promise<number> = Promise.resolve(0);
  /** Begins once the running one has ended. A commit that came after that had read may have been missed by it. */
  #next: Promise<number> | undefined;

  constructor(ports: SweeperPorts) {
    this.#ports = ports;
  }

  /**
   * Relays everything that was committed before the call. However many calls keep coming, each waits for the
   * sweep under way and for one more.
   *
   * @returns how many changes the sweep relayed.
   */
  async sweep(): Promise<number> {
    this.#next ??= this.#after(this.#running);
    return await this.#next;
  }

  /**
   * Relays everything that was committed before the call, and moves the outbox's watermark up to it. Of a sweep
   * that fails nothing is told, so the watermark stands still and its readers notice.
   */
  async heartbeat(): Promise<void> {
    const closePass = await this.#ports.openPass();
    await this.sweep();
    await closePass();
  }

  async #after(earlier: Promise<number>): Promise<number> {
    // Whoever waits for the earlier one is told of its failure.
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
