import { DurableObject } from 'cloudflare:workers';
import type { Entry } from '../../src/cache/entry.ts';
import type { Need, Verdict } from '../../src/cache/fill-gate.ts';
import { GatePool, type GatePoolPort } from '../../src/cache/gate-pool.ts';
import { systemNow } from '../../src/platform/clock.ts';
import { newId } from '../../src/platform/ids.ts';

/**
 * The gates of the cache keys of one pool in one region, named by both. With an object for each key, the fill of a key
 * would wait for a new object, whose start costs more than the fill, and would leave it in memory.
 *
 * All state is in memory, because a gate only saves reads of the origin. An eviction or a deployment ends the
 * waiters' calls with an error, and each of them reads the origin itself. A ticket from before the eviction is unknown
 * and ignored.
 *
 * A gate does not notice a caller that disconnects while it waits. If that caller gets the lease, the other waiters
 * wait until the lease expires, as for a filler that died.
 */
export class FillGate extends DurableObject implements GatePoolPort {
  readonly #pool = new GatePool({
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
  async enter(key: string, need: Need, leaseMs: number): Promise<Verdict> {
    return await this.#pool.enter(key, need, leaseMs);
  }

  /** Answers at once, so that a caller that waits in `enter` can tell a fill that takes long from an object that hangs. */
  async ping(): Promise<void> {
    await this.#pool.ping();
  }

  /** Delivers an entry to all waiters of the key whose need it meets. */
  async complete(key: string, ticketId: string, entry: Entry): Promise<void> {
    await this.#pool.complete(key, ticketId, entry);
  }

  /** Reports a failed fill: the next waiter reads. */
  async fail(key: string, ticketId: string): Promise<void> {
    await this.#pool.fail(key, ticketId);
  }

  /** Reports an entry that must not be shared: every waiter reads the origin itself. */
  async disband(key: string, ticketId: string): Promise<void> {
    await this.#pool.disband(key, ticketId);
  }
}
