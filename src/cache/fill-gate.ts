import * as z from 'zod';
import type { Now } from '../platform/clock.ts';
import { ISOLATE_MEMORY_BYTES } from '../platform/limits.ts';
import { Entry } from './entry.ts';

/**
 * Single flight of one key: who reads the origin, who waits, and what a waiter may be given. No I/O, no time,
 * no randomness. Whoever calls these functions hands every decision on to the one that it names; a ticket gets
 * exactly one.
 *
 * Correctness does not depend on the lease. It only saves reads: an entry is judged by its own stamp when it
 * arrives, whoever brings it and however late, and a waiter that nobody can serve is told to read by itself.
 */
export interface FillGateState {
  lease: { readonly holder: string; readonly expiresAtMs: number } | undefined;
  /** The newest entry, kept a moment for those that come just too late to have waited for it. */
  result: { readonly entry: Entry; readonly keptUntilMs: number } | undefined;
  /** By ticket, longest waiting first. */
  readonly waiters: Map<string, Waiter>;
}

interface Waiter {
  readonly need: Need;
  readonly leaseMs: number;
  readonly givesUpAtMs: number;
}

/**
 * What an asker's level demands of a value. `minStamp` is the `seq` of the asker's own mirror, taken after the
 * mirror was made as fresh as the level asks: every invalidation that the value has to reflect is at or below it.
 */
export const Need = z.object({
  /** A mirror without an epoch has never synced, and nothing can be promised with it. */
  epoch: z.string().min(1),
  minStamp: z.int().nonnegative(),
  /** The grain of time that the asker is in: an answer of an earlier grain will not do. Absent without grains. */
  minNow: z.number().optional(),
});
export type Need = z.output<typeof Need>;

/** Longest lease, in milliseconds: what the platform grants to work that outlives its request. */
const LEASE_MS_MAX = 30_000;
export const LeaseMs = z.int().min(1).max(LEASE_MS_MAX);

/** Read the origin, and report under the ticket; or answer with this. */
export type Verdict =
  | { readonly verdict: 'fill'; readonly ticketId: string }
  | { readonly verdict: 'value'; readonly entry: Entry };

export interface Decision {
  readonly ticketId: string;
  readonly verdict: Verdict;
}

export interface EnterRequest {
  readonly ticketId: string;
  readonly need: Need;
  readonly leaseMs: number;
}

/**
 * How many of its own leases an asker waits at most: for the fill that it found under way, whose stamp may be
 * too low for it or whose filler may be dead, and for the one after that.
 */
export const WAIT_LEASES_MAX = 2;
/** Waiters of a key. Each holds a call open, and a call takes some kilobytes of the isolate's memory. */
export const WAITERS_MAX = 2_000;
/** Largest entry that is handed on, as `entryBytes` counts. A larger one costs more to pass than it saves. */
export const ENTRY_BYTES_MAX = 1024 * 1024;
/** Bytes that one fill may send at once, each waiter's copy counted: a quarter of the isolate's memory. */
const HAND_ON_BYTES_MAX = ISOLATE_MEMORY_BYTES / 4;
/** How long a result outlives its hand-over, in milliseconds: the way of a miss that was sent before it. */
export const RESULT_KEPT_MS = 1_000;

export function newFillGate(): FillGateState {
  return { lease: undefined, result: undefined, waiters: new Map() };
}

/** The one rule of correctness: true iff the entry was read after everything that the asker has to see. */
export function meets(entry: Pick<Entry, 'epoch' | 'stamp' | 'now'>, need: Need): boolean {
  const { minNow = Number.NEGATIVE_INFINITY } = need;
  if ((entry.now ?? minNow) < minNow) return false;
  return entry.epoch === need.epoch && entry.stamp >= need.minStamp;
}

/** Upper bound of what an entry takes in a message: two bytes a character, eight a number. */
export function entryBytes(entry: Entry): number {
  return (entry.body.length + entry.etag.length + entry.epoch.length) * 2 + (entry.slots.length + 2) * 8;
}

/**
 * Asks for a value. Without a decision for its own ticket, the asker waits.
 *
 * A waiter need not be told apart by whether the fill under way suits it: if that fill's entry turns out to
 * meet its need, it is served with it, and else it is among those of whom the next lease holder is chosen.
 */
export function enter(gate: FillGateState, request: EnterRequest, nowMs: number): Decision[] {
  const decisions = expire(gate, nowMs);
  const { ticketId, need, leaseMs } = request;
  const { result } = gate;
  if (result !== undefined && meets(result.entry, need)) {
    decisions.push(toShare(ticketId, result.entry));
  } else if (gate.lease === undefined) {
    gate.lease = { holder: ticketId, expiresAtMs: nowMs + leaseMs };
    decisions.push(toFill(ticketId));
  } else if (gate.waiters.size >= WAITERS_MAX) {
    decisions.push(toFill(ticketId));
  } else {
    gate.waiters.set(ticketId, { need, leaseMs, givesUpAtMs: nowMs + leaseMs * WAIT_LEASES_MAX });
  }
  return decisions;
}

/**
 * A filler's entry. It goes to every waiter whose need it meets, also when the filler's lease is long over: the
 * stamp tells what the entry reflects, and the lease does not. If waiters are left, one of them reads next.
 */
export function complete(gate: FillGateState, ticketId: string, entry: Entry, nowMs: number): Decision[] {
  if (entryBytes(entry) > ENTRY_BYTES_MAX) return disband(gate, ticketId, nowMs);
  const copiesMax = Math.floor(HAND_ON_BYTES_MAX / entryBytes(entry));
  const decisions: Decision[] = [];
  for (const [waiting, { need }] of gate.waiters) {
    if (!meets(entry, need)) continue;
    gate.waiters.delete(waiting);
    decisions.push(decisions.length < copiesMax ? toShare(waiting, entry) : toFill(waiting));
  }
  if (!isOlder(entry, gate.result?.entry)) gate.result = { entry, keptUntilMs: nowMs + RESULT_KEPT_MS };
  release(gate, ticketId);
  decisions.push(...expire(gate, nowMs));
  return decisions;
}

/** The filler has nothing. If it held the lease, the next waiter reads; the others stay. */
export function fail(gate: FillGateState, ticketId: string, nowMs: number): Decision[] {
  release(gate, ticketId);
  return expire(gate, nowMs);
}

/**
 * The filler has an answer that is not to be shared. If it held the lease, all waiters read by themselves: one
 * after another they would only find the same.
 */
export function disband(gate: FillGateState, ticketId: string, nowMs: number): Decision[] {
  if (!release(gate, ticketId)) return expire(gate, nowMs);
  const decisions = [...gate.waiters.keys()].map(toFill);
  gate.waiters.clear();
  decisions.push(...expire(gate, nowMs));
  return decisions;
}

/** Lets go of what is over: results, leases, and waiters that have waited long enough. */
export function expire(gate: FillGateState, nowMs: number): Decision[] {
  const decisions: Decision[] = [];
  if (gate.result !== undefined && gate.result.keptUntilMs <= nowMs) gate.result = undefined;
  if (gate.lease !== undefined && gate.lease.expiresAtMs <= nowMs) gate.lease = undefined;
  if (gate.lease === undefined) grant(gate, nowMs, decisions);
  for (const [ticketId, { givesUpAtMs }] of gate.waiters) {
    if (givesUpAtMs > nowMs) continue;
    gate.waiters.delete(ticketId);
    decisions.push(toFill(ticketId));
  }
  return decisions;
}

/**
 * When `expire` has something to do next, in the time of its `nowMs`; undefined for never. A lease for which
 * nobody waits is no reason to wake: the next asker finds it over.
 */
export function nextDeadlineMs(gate: FillGateState): number | undefined {
  const never = Number.POSITIVE_INFINITY;
  let nextMs = gate.result?.keptUntilMs ?? never;
  if (gate.waiters.size > 0) nextMs = Math.min(nextMs, gate.lease?.expiresAtMs ?? never);
  for (const { givesUpAtMs } of gate.waiters.values()) nextMs = Math.min(nextMs, givesUpAtMs);
  return nextMs === never ? undefined : nextMs;
}

/**
 * Gives the free lease to the waiter that needs the newest value: what suits it suits every other waiter of its
 * epoch, so that one more read serves all of them. Of two epochs nobody can tell which is the newer, and the one
 * of the longest waiting goes first. Nobody is passed over by that for longer than it waits at most.
 */
function grant(gate: FillGateState, nowMs: number, decisions: Decision[]): void {
  let next: [ticketId: string, waiter: Waiter] | undefined;
  for (const candidate of gate.waiters) {
    const isNewer =
      next === undefined ||
      (candidate[1].need.epoch === next[1].need.epoch && candidate[1].need.minStamp > next[1].need.minStamp);
    if (isNewer) next = candidate;
  }
  if (next === undefined) return;
  const [holder, { leaseMs }] = next;
  gate.waiters.delete(holder);
  gate.lease = { holder, expiresAtMs: nowMs + leaseMs };
  decisions.push(toFill(holder));
}

/** Frees the lease, if it is this ticket's. */
function release(gate: FillGateState, ticketId: string): boolean {
  if (gate.lease?.holder !== ticketId) return false;
  gate.lease = undefined;
  return true;
}

/** True iff the kept entry serves whomever this one would. */
function isOlder(entry: Entry, kept: Entry | undefined): boolean {
  return kept !== undefined && kept.epoch === entry.epoch && kept.stamp > entry.stamp;
}

function toFill(ticketId: string): Decision {
  return { ticketId, verdict: { verdict: 'fill', ticketId } };
}

function toShare(ticketId: string, entry: Entry): Decision {
  return { ticketId, verdict: { verdict: 'value', entry } };
}

/** The gate of one key, which all isolates share. It may fail, hang or forget at any time: that costs reads. */
export interface FillGatePort {
  /** Stays open until there is a verdict, at most `WAIT_LEASES_MAX` times `leaseMs`. */
  enter(need: Need, leaseMs: number): Promise<Verdict>;
  complete(ticketId: string, entry: Entry): Promise<void>;
  fail(ticketId: string): Promise<void>;
  disband(ticketId: string): Promise<void>;
}

export interface GateHostPorts {
  readonly now: Now;
  readonly newTicketId: () => string;
  /** Calls back once after a delay; the returned function cancels that. */
  readonly setTimer: (delayMs: number, callback: () => void) => () => void;
}

/**
 * Keeps the open calls of one gate, and gives each the verdict that the rules above decide on, within
 * their bounds and whatever becomes of its caller.
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

  /** Leaves one timer, for the next deadline. One that fires early finds nothing to do and is set again. */
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
