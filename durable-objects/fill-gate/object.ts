import { DurableObject } from 'cloudflare:workers';
import type { Entry } from '../../src/cache/entry.ts';
import type { FillGatePort, Need, Verdict } from '../../src/cache/fill-gate.ts';
import { GateHost } from '../../src/cache/fill-gate.ts';
import { systemNow } from '../../src/platform/clock.ts';
import { newId } from '../../src/platform/ids.ts';

/**
 * The gate of one cache key in one region, named by both. With one object for many keys, all of them would share the thousand
 * requests a second of one object; an object that stores nothing costs nothing once it is idle.
 *
 * All state is in memory, because the gate only saves reads of the origin. An eviction or a deployment ends the
 * waiters' calls with an error, and each of them reads the origin itself. A ticket from before the eviction is unknown
 * and ignored.
 *
 * The gate does not notice a caller that disconnects while it waits. If that caller gets the lease, the other waiters
 * wait until the lease expires, as for a filler that died.
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
   * Asks for an entry that meets the need. The call stays open for at most `WAIT_LEASES_MAX` times `leaseMs`.
   *
   * @param leaseMs how long the caller may hold the others back if it has to fill, in milliseconds.
   */
  async enter(need: Need, leaseMs: number): Promise<Verdict> {
    return await this.#host.enter(need, leaseMs);
  }

  /** Answers at once, so that a caller that waits in `enter` can tell a fill that takes long from a gate that hangs. */
  async ping(): Promise<void> {
    await this.#host.ping();
  }

  /** Delivers an entry to all waiters whose need it meets. */
  async complete(ticketId: string, entry: Entry): Promise<void> {
    await this.#host.complete(ticketId, entry);
  }

  /** Reports a failed fill: the next waiter reads. */
  async fail(ticketId: string): Promise<void> {
    await this.#host.fail(ticketId);
  }

  /** Reports an entry that must not be shared: every waiter reads the origin itself. */
  async disband(ticketId: string): Promise<void> {
    await this.#host.disband(ticketId);
  }
}
