import type { Time } from '../platform/clock.ts';
import { log } from '../platform/logger.ts';
import { Entry } from './entry.ts';
import {
  ENTRY_BYTES_MAX,
  entryBytes,
  type FillGatePort,
  type Need,
  suits,
  type Verdict,
  WAIT_LEASES_MAX,
} from './fill-gate.ts';

/** The most keys whose last fill an isolate remembers. A key takes about 200 bytes. */
export const RECENT_FILLS_MAX = 4_096;

/**
 * The keys that this isolate has begun to fill, each with the moment of the last begin. A key is contended if a tier has
 * had it, or if this isolate began to fill it within the last lease. Only a contended key asks its gate, because the gate
 * costs as much as the read of the origin. So of any number of concurrent first misses of a key, each isolate sends one to
 * the origin, and all others meet at the gate, which sends one more.
 */
export class RecentFills {
  /** In milliseconds since the Unix epoch; the oldest first. */
  readonly #begunAtMs = new Map<string, number>();

  get size(): number {
    return this.#begunAtMs.size;
  }

  /** Notes that a fill of the key begins. Returns whether another one began within the last lease. */
  begin(key: string, nowMs: number): boolean {
    const lastMs = this.#begunAtMs.get(key) ?? Number.NEGATIVE_INFINITY;
    this.#begunAtMs.delete(key);
    this.#begunAtMs.set(key, nowMs);
    const [oldest] = this.#begunAtMs.size > RECENT_FILLS_MAX ? this.#begunAtMs.keys() : [];
    if (oldest !== undefined) this.#begunAtMs.delete(oldest);
    return nowMs - lastMs < LEASE_MS;
  }
}

/** The result of a read of the origin. */
export interface Filled {
  readonly entry: Entry;
  /** False for a degraded answer, which is neither stored nor shared. */
  readonly storable: boolean;
  /** Whether a stale entry is the better answer. */
  readonly isDegraded?: boolean | undefined;
}

export interface Flight extends Filled {
  /** True if another request read the origin for this one. */
  readonly shared: boolean;
}

export interface FlightContext {
  readonly time: Time;
  /** Keeps a fill alive after its request is cancelled, because other requests wait for it. */
  readonly keepAlive: (promise: Promise<unknown>) => void;
}

/**
 * How long a filler holds the other requests back, in milliseconds. Nearly all reads of an origin are shorter. A
 * longer read causes one more read each time a lease expires, and still serves the waiters when it ends.
 */
export const LEASE_MS = 3_000;
/** Time beyond the longest wait for a new object's start and the round trip, in milliseconds. */
const GATE_SLACK_MS = 500;
export const ENTER_TIMEOUT_MS = LEASE_MS * WAIT_LEASES_MAX + GATE_SLACK_MS;
/** A gate that has given no verdict after this long is pinged, in milliseconds. */
export const GATE_QUIET_MS = 300;
/** How long the answer to the ping may take, in milliseconds. A gate that hangs costs a read the sum of both. */
export const GATE_PING_MS = 300;

/**
 * Answers with the entry of a read that another request has in flight, or reads the origin for all that wait.
 *
 * @param gate the key's gate, or undefined to read without one: single flight is off for the key, or nobody else is known
 *   to read it.
 * @param need taken from the mirror before this call, after the mirror became as fresh as the level demands.
 * @param fill reads the origin. It takes the entry's stamp from the mirror itself before it reads, because the mirror
 *   may have advanced by the time `fill` is called.
 * @throws what `fill` throws, and nothing else. The failure of another request's fill is not passed on.
 */
export async function singleFlight(
  gate: FillGatePort | undefined,
  need: Need,
  fill: () => Promise<Filled>,
  context: FlightContext,
): Promise<Flight> {
  const verdict = gate === undefined ? undefined : await askGate(gate, need, context);
  if (verdict?.verdict === 'value') {
    const entry = usable(verdict, need);
    if (entry !== undefined) return { entry, storable: true, shared: true };
  }
  const filling = fill();
  if (gate !== undefined && verdict?.verdict === 'fill')
    context.keepAlive(report(gate, verdict.ticketId, filling));
  return { ...(await filling), shared: false };
}

/** The gate's verdict; undefined if the gate fails or does not answer in time. */
async function askGate(
  gate: FillGatePort,
  need: Need,
  { time, keepAlive }: FlightContext,
): Promise<Verdict | undefined> {
  const entering = gate.enter(need, LEASE_MS);
  try {
    return await verdictOf(gate, entering, time);
  } catch (error) {
    log(
      'info',
      'A fill gate failed; this request reads the origin itself.',
      { 'event.action': 'gate-enter' },
      error,
    );
    keepAlive(giveBack(gate, entering));
    return undefined;
  }
}

/**
 * Waits for the verdict. A gate gives it late while another request's fill takes long, and never if it hangs: only a
 * gate that answers a ping is waited for.
 *
 * @throws the error of the gate, or an error if it does not answer.
 */
async function verdictOf(
  gate: FillGatePort,
  entering: Promise<Verdict>,
  { withTimeout }: Time,
): Promise<Verdict> {
  const quiet = Symbol('quiet');
  const early = await withTimeout(entering, GATE_QUIET_MS, () => new QuietGate()).catch((error: unknown) => {
    if (error instanceof QuietGate) return quiet;
    throw error;
  });
  if (typeof early !== 'symbol') return early;
  const silent = () => new Error(`The fill gate did not answer a ping within ${GATE_PING_MS} ms.`);
  // The verdict may come before the answer to the ping.
  const answered = await withTimeout(
    Promise.race([entering, gate.ping().then(() => quiet)]),
    GATE_PING_MS,
    silent,
  );
  if (typeof answered !== 'symbol') return answered;
  return await withTimeout(
    entering,
    ENTER_TIMEOUT_MS - GATE_QUIET_MS,
    () => new Error(`The fill gate gave no verdict within ${ENTER_TIMEOUT_MS} ms.`),
  );
}

class QuietGate extends Error {}

/** Returns a lease that arrives after the request stopped waiting, so that the next waiter reads at once. */
async function giveBack(gate: FillGatePort, entering: Promise<Verdict>): Promise<void> {
  try {
    const late = await entering;
    if (late.verdict === 'fill') await gate.fail(late.ticketId);
  } catch {
    // The error was logged when the request waited for the gate, and a lease that is not returned expires.
  }
}

/** Validates the gate's entry again: the gate is an optimisation, and no consistency promise may depend on it. */
function usable(
  given: { readonly entry: Entry; readonly readAgeMs?: number | undefined },
  need: Need,
): Entry | undefined {
  const parsed = Entry.safeParse(given.entry);
  if (parsed.success && suits({ entry: parsed.data, readAgeMs: given.readAgeMs }, need)) return parsed.data;
  log('error', 'A fill gate returned an entry that does not meet the need; it is ignored.', {
    'event.action': 'gate-enter',
  });
  return undefined;
}

/** Reports the result of a fill to the gate. If the report is lost, the waiters wait for the rest of the lease. */
async function report(gate: FillGatePort, ticketId: string, filling: Promise<Filled>): Promise<void> {
  const filled = await filling.catch(() => undefined);
  try {
    if (filled === undefined) await gate.fail(ticketId);
    else if (isShareable(filled)) await gate.complete(ticketId, filled.entry);
    else await gate.disband(ticketId);
  } catch (error) {
    log(
      'info',
      'A fill gate did not accept a report; its waiters wait until the lease expires.',
      { 'event.action': 'gate-report' },
      error,
    );
  }
}

/** The gate's own size limit, checked here so that an oversized entry is not sent. */
function isShareable({ entry, storable }: Filled): boolean {
  return storable && entryBytes(entry) <= ENTRY_BYTES_MAX;
}
