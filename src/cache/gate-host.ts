import type { Now } from '../platform/clock.ts';
import { Entry } from './entry.ts';
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
} from './fill-gate.ts';
import type { FillGatePort } from './single-flight.ts';

export interface GateHostPorts {
  readonly now: Now;
  readonly newTicketId: () => string;
  /** Calls `callback` once after a delay; the returned function cancels it. */
  readonly setTimer: (delayMs: number, callback: () => void) => () => void;
}

/**
 * Holds the open calls of one gate and resolves each with the verdict of `fill-gate.ts`. Every call gets a verdict
 * within the bounds of those rules, even if a filler disappears.
 */
export class GateHost implements FillGatePort {
  readonly #ports: GateHostPorts;
  readonly #gate = newFillGate();
  /** By ticket. */
  readonly #calls = new Map<string, (verdict: Verdict) => void>();
  #timer: { readonly dueMs: number; readonly cancel: () => void } | undefined;

  constructor(ports: GateHostPorts) {
    this.#ports = ports;
  }

  async enter(need: Need, leaseMs: number): Promise<Verdict> {
    const ticketId = this.#ports.newTicketId();
    const request = { ticketId, need: Need.parse(need), leaseMs: LeaseMs.parse(leaseMs) };
    const { promise, resolve } = Promise.withResolvers<Verdict>();
    this.#calls.set(ticketId, resolve);
    this.#deliver(enter(this.#gate, request, this.#ports.now()));
    return await promise;
  }

  async complete(ticketId: string, entry: Entry): Promise<void> {
    this.#deliver(complete(this.#gate, ticketId, Entry.parse(entry), this.#ports.now()));
  }

  async fail(ticketId: string): Promise<void> {
    this.#deliver(fail(this.#gate, ticketId, this.#ports.now()));
  }

  async disband(ticketId: string): Promise<void> {
    this.#deliver(disband(this.#gate, ticketId, this.#ports.now()));
  }

  #deliver(decisions: readonly Decision[]): void {
    for (const { ticketId, verdict } of decisions) {
      this.#calls.get(ticketId)?.(verdict);
      this.#calls.delete(ticketId);
    }
    this.#arm();
  }

  /** Keeps one timer, for the next deadline. A timer that fires early changes nothing and is set again. */
  #arm(): void {
    const dueMs = nextDeadlineMs(this.#gate);
    if (dueMs === this.#timer?.dueMs) return;
    this.#timer?.cancel();
    this.#timer = dueMs === undefined ? undefined : { dueMs, cancel: this.#wakeAt(dueMs) };
  }

  #wakeAt(dueMs: number): () => void {
    const { now, setTimer } = this.#ports;
    return setTimer(Math.max(1, dueMs - now()), () => {
      this.#timer = undefined;
      this.#deliver(expire(this.#gate, now()));
    });
  }
}
