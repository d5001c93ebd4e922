import { tagHash } from './clock/tag-hash.ts';
import type { Entry } from './entry.ts';
import { type FillGatePort, GateHost, type GateHostPorts, type Need, type Verdict } from './fill-gate.ts';

/**
 * How many pools the gates of all keys are divided among. An object handles about a thousand calls a second, and a fill
 * of a contended key is two, so these handle 128,000 such fills a second. An idle pool costs nothing.
 */
const POOLS = 256;
/** The most keys of one pool whose gate is in use: those of the fills of the last seconds. The gate of a key takes about 1 KB. */
export const POOL_KEYS_MAX = 2_000;
/** The most bytes of results that one pool keeps for late misses: a quarter of the memory of its isolate. */
export const POOL_BYTES_MAX = 32 * 1024 * 1024;

/** The pool that has the gate of a key, from 0. All isolates have to agree on it. */
export function poolOf(key: string): number {
  return tagHash(key) % POOLS;
}

/** The gates of many keys, as one object serves them. */
export interface GatePoolPort {
  enter(key: string, need: Need, leaseMs: number): Promise<Verdict>;
  ping(): Promise<void>;
  complete(key: string, ticketId: string, entry: Entry): Promise<void>;
  fail(key: string, ticketId: string): Promise<void>;
  disband(key: string, ticketId: string): Promise<void>;
}

/** The gate of one key in a pool. */
export function gateIn(pool: GatePoolPort, key: string): FillGatePort {
  return {
    enter: (need, leaseMs) => pool.enter(key, need, leaseMs),
    ping: () => pool.ping(),
    complete: (ticketId, entry) => pool.complete(key, ticketId, entry),
    fail: (ticketId) => pool.fail(key, ticketId),
    disband: (ticketId) => pool.disband(key, ticketId),
  };
}

/** Keeps the gate of a key while it is in use. The gates of two keys have nothing in common. */
export class GatePool implements GatePoolPort {
  readonly #ports: GateHostPorts;
  /** By key; the one that was called longest ago first. */
  readonly #hosts = new Map<string, GateHost>();

  constructor(ports: GateHostPorts) {
    this.#ports = ports;
  }

  get size(): number {
    return this.#hosts.size;
  }

  async enter(key: string, need: Need, leaseMs: number): Promise<Verdict> {
    this.#dropIdle();
    const known = this.#hosts.get(key);
    // The caller reads the origin itself, and its report finds no gate.
    if (known === undefined && this.#hosts.size >= POOL_KEYS_MAX)
      return { verdict: 'fill', ticketId: this.#ports.newTicketId() };
    const host = known ?? new GateHost(this.#ports);
    this.#called(key, host);
    return await host.enter(need, leaseMs);
  }

  async ping(): Promise<void> {}

  async complete(key: string, ticketId: string, entry: Entry): Promise<void> {
    await this.#report(key, (host) => host.complete(ticketId, entry));
    this.#boundResults();
  }

  async fail(key: string, ticketId: string): Promise<void> {
    await this.#report(key, (host) => host.fail(ticketId));
  }

  async disband(key: string, ticketId: string): Promise<void> {
    await this.#report(key, (host) => host.disband(ticketId));
  }

  /** A report on a key without a gate is of a fill that nobody waits for. */
  async #report(key: string, report: (host: GateHost) => Promise<void>): Promise<void> {
    const host = this.#hosts.get(key);
    if (host === undefined) return;
    this.#called(key, host);
    await report(host);
  }

  #called(key: string, host: GateHost): void {
    this.#hosts.delete(key);
    this.#hosts.set(key, host);
  }

  /** Removes gates that are no longer in use. A gate that is still in use holds back those called after it, for seconds. */
  #dropIdle(): void {
    for (const [key, host] of this.#hosts) {
      if (!host.isIdle) return;
      this.#hosts.delete(key);
    }
  }

  /** Forgets the oldest results beyond the bound; their late misses read the origin. */
  #boundResults(): void {
    let bytes = 0;
    for (const { keptBytes } of this.#hosts.values()) bytes += keptBytes;
    for (const host of this.#hosts.values()) {
      if (bytes <= POOL_BYTES_MAX) return;
      bytes -= host.keptBytes;
      host.forgetResult();
    }
  }
}
