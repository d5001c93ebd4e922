import { DurableObject } from 'cloudflare:workers';
import type { Entry } from '../../src/cache/entry.ts';
import type { FillGatePort, Need, Verdict } from '../../src/cache/fill-gate.ts';
import { GateHost } from '../../src/cache/fill-gate.ts';
import { systemNow } from '../../src/platform/clock.ts';
import { newId } from '../../src/platform/ids.ts';

/**
 * The gate of one cache key, named by that key: a shard of many keys would put them all behind the thousand
 * requests a second of the hottest, and an object that stores nothing costs nothing once it is idle.
 *
 * All of it is in memory, for it only saves origin reads. An eviction or a deployment ends the waiters' calls
 * with an error, and each then reads by itself; a ticket of before is one that nobody knows.
 *
 * A caller that goes away while it waits is not noticed. If it is then given the lease, the others wait until
 * that is over, which is the same as for a filler that died.
 */
export class FillGate extends DurableObject implements FillGatePort {
  readonly #host = new GateHost({
    now: systemNow,
    newTicketId: newId,
    setTimer: (delayMs, callback) => {
      const id = setTimeout(callback, delayMs);
      return () => clearTimeout(id);
    },
  });

  /**
   * Asks for a value that meets the need. The call stays open while there is hope of one, at most
   * `WAIT_LEASES_MAX` times `leaseMs`.
   *
   * @param leaseMs for how long the caller, if it is told to fill, holds the others back; in milliseconds.
   */
  async enter(need: Need, leaseMs: number): Promise<Verdict> {
    return await this.#host.enter(need, leaseMs);
  }

  /** Hands an entry to all waiters whose need it meets. */
  async complete(ticketId: string, entry: Entry): Promise<void> {
    await this.#host.complete(ticketId, entry);
  }

  /** The fill came to nothing: the next waiter's turn. */
  async fail(ticketId: string): Promise<void> {
    await this.#host.fail(ticketId);
  }

  /** The fill's answer is not to be shared: every waiter reads by itself. */
  async disband(ticketId: string): Promise<void> {
    await this.#host.disband(ticketId);
  }
}
