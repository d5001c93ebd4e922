import { PASS_CHANGES_MAX, type RelayPorts, relayPass } from './relay.ts';

export interface SweeperPorts {
  /** Made for each sweep. */
  readonly relay: () => RelayPorts;
  /** Tells the clock that the outbox is about to be read. The returned call tells that it has been seen through. */
  readonly openPass: () => Promise<() => Promise<void>>;
}

/** The one sweeper of an outbox: calls that come while it sweeps join it, and have it read once more. */
export class Sweeper {
  readonly #ports: SweeperPorts;
  #sweeping: Promise<number> | undefined;
  /** A commit that came after the running sweep had read may have been missed by it. */
  #again = false;

  constructor(ports: SweeperPorts) {
    this.#ports = ports;
  }

  /**
   * Relays everything that was committed before the call.
   *
   * @returns how many changes the sweep relayed.
   */
  async sweep(): Promise<number> {
    if (this.#sweeping !== undefined) this.#again = true;
    this.#sweeping ??= this.#sweepAll().finally(() => {
      this.#sweeping = undefined;
    });
    return await this.#sweeping;
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

  async #sweepAll(): Promise<number> {
    const ports = this.#ports.relay();
    let relayed = 0;
    for (;;) {
      this.#again = false;
      const pass = await relayPass(ports);
      relayed += pass;
      if (pass < PASS_CHANGES_MAX && !this.#again) return relayed;
    }
  }
}
