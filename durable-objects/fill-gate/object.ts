import { DurableObject } from 'cloudflare:workers';
import { Entry } from '../../src/cache/entry.ts';
import {
  complete,
  type Decision,
  disband,
  enter,
  expire,
  fail,
  LeaseMs,
  Need,
  newFillGate,
  nextDeadlineMs,
  type Verdict,
} from '../../src/cache/fill-gate.ts';
import type { FillGatePort } from '../../src/cache/single-flight.ts';
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
  readonly #gate = newFillGate();
  /** The open calls, by ticket. Each is settled within the bounds of the rules, whatever becomes of its caller. */
  readonly #calls = new Map<string, (verdict: Verdict) => void>();
  #timer: { readonly dueMs: number; readonly id: ReturnType<typeof setTimeout> } | undefined;

  /**
   * Asks for a value that meets the need. The call stays open while there is hope of one, at most
   * `WAIT_LEASES_MAX` times `leaseMs`.
   *
   * @param leaseMs for how long the caller, if it is told to fill, holds the others back; in milliseconds.
   */
  async enter(need: Need, leaseMs: number): Promise<Verdict> {
    const ticketId = newId();
    const request = { ticketId, need: Need.parse(need), leaseMs: LeaseMs.parse(leaseMs) };
    const { promise, resolve } = Promise.withResolvers<Verdict>();
    this.#calls.set(ticketId, resolve);
    this.#deliver(enter(this.#gate, request, systemNow()));
    return await promise;
  }

  /** Hands an entry to all waiters whose need it meets. */
  async complete(ticketId: string, entry: Entry): Promise<void> {
    this.#deliver(complete(this.#gate, ticketId, Entry.parse(entry), systemNow()));
  }

  /** The fill came to nothing: the next waiter's turn. */
  async fail(ticketId: string): Promise<void> {
    this.#deliver(fail(this.#gate, ticketId, systemNow()));
  }

  /** The fill's answer is not to be shared: every waiter reads by itself. */
  async disband(ticketId: string): Promise<void> {
    this.#deliver(disband(this.#gate, ticketId, systemNow()));
  }

  #deliver(decisions: readonly Decision[]): void {
    for (const { ticketId, verdict } of decisions) {
      this.#calls.get(ticketId)?.(verdict);
      this.#calls.delete(ticketId);
    }
    this.#arm();
  }

  /** Leaves one timer, for the next deadline. One that fires early finds nothing to do and is set again. */
  #arm(): void {
    const dueMs = nextDeadlineMs(this.#gate);
    if (dueMs === this.#timer?.dueMs) return;
    if (this.#timer !== undefined) clearTimeout(this.#timer.id);
    this.#timer = dueMs === undefined ? undefined : { dueMs, id: this.#wakeAt(dueMs) };
  }

  #wakeAt(dueMs: number): ReturnType<typeof setTimeout> {
    const wake = () => {
      this.#timer = undefined;
      this.#deliver(expire(this.#gate, systemNow()));
    };
    return setTimeout(wake, Math.max(1, dueMs - systemNow()));
  }
}
