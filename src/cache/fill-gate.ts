import * as z from 'zod';
import type { Now } from '../platform/clock.ts';
import { ISOLATE_MEMORY_BYTES } from '../platform/limits.ts';
import { Entry } from './entry.ts';

/**
 * Single flight of one cache key: decides who reads the origin, who waits, and which entry a waiter gets. No I/O, no
 * time, no randomness. The caller delivers every returned decision to the ticket that it names. Each ticket gets
 * exactly one decision.
 *
 * Correctness does not depend on the lease; the lease only saves reads. An entry is checked by its own stamp when it
 * arrives, whichever filler brings it and however late. A waiter that no entry can serve reads the origin itself.
 */
export interface FillGateState {
  lease: { readonly holder: string; readonly expiresAtMs: number } | undefined;
  /** The newest entry, kept shortly for misses that arrive just after the hand-over. */
  result: (Read & { readonly keptUntilMs: number }) | undefined;
  /** By ticket, the oldest first: when each fill that has not ended was allowed to read. At most `FILLS_KNOWN_MAX`. */
  readonly fills: Map<string, number>;
  /** By ticket, longest waiting first. */
  readonly waiters: Map<string, Waiter>;
}

/** An entry, and a moment before which its read did not begin; undefined if the gate no longer knows. */
interface Read {
  readonly entry: Entry;
  readonly begunAtMs: number | undefined;
}

interface Waiter {
  readonly need: Need;
  readonly enteredAtMs: number;
  readonly leaseMs: number;
  readonly givesUpAtMs: number;
}

/**
 * The freshness that a request's level demands of an entry. `minStamp` is the `seq` of the request's own mirror,
 * taken after the mirror became as fresh as the level demands. Every invalidation that the entry has to reflect has
 * a `seq` of at most `minStamp`.
 */
export const Need = z.object({
  /** Not empty: a mirror without an epoch has never synced, so no promise can be kept with it. */
  epoch: z.string().min(1),
  minStamp: z.int().nonnegative(),
  /** Start of the request's grain of time: an answer of an earlier grain is not accepted. Absent without grains. */
  minNow: z.number().optional(),
  /**
   * How long before the request the read may have begun at most, in milliseconds. Present if a source is suspect: then
   * commits that were never invalidated may be owed to the reader, and the stamp says nothing about those.
   */
  maxReadAgeMs: z.number().nonnegative().optional(),
});
export type Need = z.output<typeof Need>;

/** Longest lease, in milliseconds: the time that the platform gives to work that outlives its request. */
const LEASE_MS_MAX = 30_000;
export const LeaseMs = z.int().min(1).max(LEASE_MS_MAX);

/** `fill`: read the origin and report the result under the ticket. `value`: answer with this entry. */
export type Verdict =
  | { readonly verdict: 'fill'; readonly ticketId: string }
  | {
      readonly verdict: 'value';
      readonly entry: Entry;
      /** An upper bound of how long before this request the read began, by the gate's clock; undefined if unknown. */
      readonly readAgeMs?: number | undefined;
    };

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
 * How many of its own leases a request waits at most: one for the fill in flight, whose stamp may be too low or whose
 * filler may be dead, and one for the fill after it.
 */
export const WAIT_LEASES_MAX = 2;
/** The most waiters of a key. Each holds a call open, which takes some kilobytes of the isolate's memory. */
export const WAITERS_MAX = 2_000;
/** The largest entry that is shared, in bytes as `entryBytes` counts them. Passing a larger one costs more than it saves. */
export const ENTRY_BYTES_MAX = 1024 * 1024;
/** Bytes that one fill may send at once, each waiter's copy counted: a quarter of the isolate's memory. */
const HAND_ON_BYTES_MAX = ISOLATE_MEMORY_BYTES / 4;
/** How long a result is kept after its hand-over, in milliseconds: the transit time of a miss that was sent before it. */
export const RESULT_KEPT_MS = 1_000;
/** The most fills whose begin is known. A filler that died is forgotten when as many others have begun after it. */
const FILLS_KNOWN_MAX = WAITERS_MAX;

export function newFillGate(): FillGateState {
  return { lease: undefined, result: undefined, fills: new Map(), waiters: new Map() };
}

/** The correctness rule: true if the entry was read after every invalidation that the request has to see. */
export function meets(entry: Pick<Entry, 'epoch' | 'stamp' | 'now'>, need: Need): boolean {
  const { minNow = Number.NEGATIVE_INFINITY } = need;
  if ((entry.now ?? minNow) < minNow) return false;
  return entry.epoch === need.epoch && entry.stamp >= need.minStamp;
}

/**
 * True if the request may be answered by the entry of another's fill.
 *
 * @param readAgeMs an upper bound of how long before the request the read began; undefined if unknown.
 */
export function suits(
  { entry, readAgeMs }: { readonly entry: Entry; readonly readAgeMs?: number | undefined },
  need: Need,
): boolean {
  if (!meets(entry, need)) return false;
  if (need.maxReadAgeMs === undefined) return true;
  return readAgeMs !== undefined && readAgeMs <= need.maxReadAgeMs;
}

/** Upper bound of an entry's size in a message: two bytes a character, eight a number. */
export function entryBytes(entry: Entry): number {
  return (entry.body.length + entry.etag.length + entry.epoch.length) * 2 + (entry.tagHashes.length + 2) * 8;
}

/**
 * Asks for an entry. If no decision for its own ticket is returned, the request waits.
 *
 * Waiters are not separated by whether the fill in flight will suit them. If its entry meets a waiter's need, the
 * waiter gets it; otherwise the waiter is a candidate for the next lease.
 */
export function enter(gate: FillGateState, request: EnterRequest, nowMs: number): Decision[] {
  const decisions = expire(gate, nowMs);
  const { ticketId, need, leaseMs } = request;
  const { result } = gate;
  const kept = result === undefined ? undefined : readFor(result, nowMs);
  if (kept !== undefined && suits(kept, need)) {
    decisions.push(toShare(ticketId, kept));
  } else if (gate.lease === undefined) {
    gate.lease = { holder: ticketId, expiresAtMs: nowMs + leaseMs };
    decisions.push(toFill(gate, ticketId, nowMs));
  } else if (gate.waiters.size >= WAITERS_MAX) {
    decisions.push(toFill(gate, ticketId, nowMs));
  } else {
    const givesUpAtMs = nowMs + leaseMs * WAIT_LEASES_MAX;
    gate.waiters.set(ticketId, { need, enteredAtMs: nowMs, leaseMs, givesUpAtMs });
  }
  return decisions;
}

/**
 * Reports a filler's entry. Every waiter whose need it meets gets it, even if the filler's lease has expired: the
 * stamp says what the entry reflects, the lease does not. If waiters are left, one of them reads next.
 */
export function complete(gate: FillGateState, ticketId: string, entry: Entry, nowMs: number): Decision[] {
  if (entryBytes(entry) > ENTRY_BYTES_MAX) return disband(gate, ticketId, nowMs);
  const copiesMax = Math.floor(HAND_ON_BYTES_MAX / entryBytes(entry));
  const decisions: Decision[] = [];
  const read: Read = { entry, begunAtMs: gate.fills.get(ticketId) };
  for (const [waiting, { need, enteredAtMs }] of gate.waiters) {
    const given = readFor(read, enteredAtMs);
    if (!suits(given, need)) continue;
    gate.waiters.delete(waiting);
    decisions.push(decisions.length < copiesMax ? toShare(waiting, given) : toFill(gate, waiting, nowMs));
  }
  if (!isOlder(entry, gate.result?.entry)) gate.result = { ...read, keptUntilMs: nowMs + RESULT_KEPT_MS };
  release(gate, ticketId);
  decisions.push(...expire(gate, nowMs));
  return decisions;
}

/** Reports a failed fill. If the filler held the lease, the next waiter reads; the other waiters stay. */
export function fail(gate: FillGateState, ticketId: string, nowMs: number): Decision[] {
  release(gate, ticketId);
  return expire(gate, nowMs);
}

/**
 * Reports an entry that must not be shared. If the filler held the lease, all waiters read the origin themselves at
 * once: one after another, each would get an entry that cannot be shared either.
 */
export function disband(gate: FillGateState, ticketId: string, nowMs: number): Decision[] {
  if (!release(gate, ticketId)) return expire(gate, nowMs);
  const decisions = [...gate.waiters.keys()].map((waiting) => toFill(gate, waiting, nowMs));
  gate.waiters.clear();
  decisions.push(...expire(gate, nowMs));
  return decisions;
}

/** Removes expired results and leases, and sends waiters that have waited long enough to the origin. */
export function expire(gate: FillGateState, nowMs: number): Decision[] {
  const decisions: Decision[] = [];
  if (gate.result !== undefined && gate.result.keptUntilMs <= nowMs) gate.result = undefined;
  if (gate.lease !== undefined && gate.lease.expiresAtMs <= nowMs) gate.lease = undefined;
  if (gate.lease === undefined) grant(gate, nowMs, decisions);
  for (const [ticketId, { givesUpAtMs }] of gate.waiters) {
    if (givesUpAtMs > nowMs) continue;
    gate.waiters.delete(ticketId);
    decisions.push(toFill(gate, ticketId, nowMs));
  }
  return decisions;
}

/**
 * When `expire` is next needed, on the clock of its `nowMs`; undefined for never. An expired lease without waiters
 * needs no wake-up, because the next `enter` removes it.
 */
export function nextDeadlineMs(gate: FillGateState): number | undefined {
  const never = Number.POSITIVE_INFINITY;
  let nextMs = gate.result?.keptUntilMs ?? never;
  if (gate.waiters.size > 0) nextMs = Math.min(nextMs, gate.lease?.expiresAtMs ?? never);
  for (const { givesUpAtMs } of gate.waiters.values()) nextMs = Math.min(nextMs, givesUpAtMs);
  return nextMs === never ? undefined : nextMs;
}

/**
 * Grants the free lease to the waiter with the highest `minStamp`: an entry that meets its need meets the need of
 * every other waiter of its epoch, so one more read serves them all. The order of two epochs is unknown, so the epoch
 * of the longest waiter goes first. A waiter that is passed over still gives up waiting at its own deadline.
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
  decisions.push(toFill(gate, holder, nowMs));
}

/** Ends a fill, and releases the lease if this ticket holds it. */
function release(gate: FillGateState, ticketId: string): boolean {
  gate.fills.delete(ticketId);
  if (gate.lease?.holder !== ticketId) return false;
  gate.lease = undefined;
  return true;
}

/** True if the kept entry meets every need that this entry meets. */
function isOlder(entry: Entry, kept: Entry | undefined): boolean {
  return kept !== undefined && kept.epoch === entry.epoch && kept.stamp > entry.stamp;
}

function toFill(gate: FillGateState, ticketId: string, nowMs: number): Decision {
  gate.fills.set(ticketId, nowMs);
  for (const oldest of gate.fills.keys()) {
    if (gate.fills.size <= FILLS_KNOWN_MAX) break;
    gate.fills.delete(oldest);
  }
  return { ticketId, verdict: { verdict: 'fill', ticketId } };
}

interface GivenRead {
  readonly entry: Entry;
  readonly readAgeMs: number | undefined;
}

/** An entry for a request that entered at a moment. Both moments are of the gate's clock, which may have been set back. */
function readFor({ entry, begunAtMs }: Read, enteredAtMs: number): GivenRead {
  return { entry, readAgeMs: begunAtMs === undefined ? undefined : Math.max(0, enteredAtMs - begunAtMs) };
}

function toShare(ticketId: string, given: GivenRead): Decision {
  return { ticketId, verdict: { verdict: 'value', ...given } };
}

/** The gate of one key, shared by all isolates. It may fail, hang or lose its state at any time; that costs reads only. */
export interface FillGatePort {
  /** Resolves with a verdict after at most `WAIT_LEASES_MAX` times `leaseMs`. */
  enter(need: Need, leaseMs: number): Promise<Verdict>;
  /** Resolves at once. */
  ping(): Promise<void>;
  complete(ticketId: string, entry: Entry): Promise<void>;
  fail(ticketId: string): Promise<void>;
  disband(ticketId: string): Promise<void>;
}

export interface GateHostPorts {
  readonly now: Now;
  readonly newTicketId: () => string;
  /** Calls `callback` once after a delay; the returned function cancels it. */
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

  /** True if neither a caller waits, nor a fill is under way, nor a result is kept. */
  get isIdle(): boolean {
    this.#deliver(expire(this.#gate, this.#ports.now()));
    return this.#gate.lease === undefined && this.#gate.result === undefined && this.#calls.size === 0;
  }

  /** Size of the kept result, as `entryBytes` counts it. */
  get keptBytes(): number {
    return this.#gate.result === undefined ? 0 : entryBytes(this.#gate.result.entry);
  }

  forgetResult(): void {
    this.#gate.result = undefined;
    this.#arm();
  }

  async enter(need: Need, leaseMs: number): Promise<Verdict> {
    const ticketId = this.#ports.newTicketId();
    const request = { ticketId, need: Need.parse(need), leaseMs: LeaseMs.parse(leaseMs) };
    const { promise, resolve } = Promise.withResolvers<Verdict>();
    this.#calls.set(ticketId, resolve);
    this.#deliver(enter(this.#gate, request, this.#ports.now()));
    return await promise;
  }

  async ping(): Promise<void> {}

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
