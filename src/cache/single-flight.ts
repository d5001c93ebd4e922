import type { Time } from '../platform/clock.ts';
import { log } from '../platform/logger.ts';
import { Entry } from './entry.ts';
import {
  ENTRY_BYTES_MAX,
  entryBytes,
  type FillGatePort,
  meets,
  type Need,
  type Verdict,
  WAIT_LEASES_MAX,
} from './fill-gate.ts';

/** What was read from the origin. */
export interface Filled {
  readonly entry: Entry;
  /** False for an answer that only stands in for a better one: it is not shared either. */
  readonly storable: boolean;
}

export interface Flight extends Filled {
  /** True where another request read the origin for this one. */
  readonly shared: boolean;
}

export interface FlightContext {
  readonly time: Time;
  /** Keeps a fill alive when its request is cancelled: others wait for it. */
  readonly keepAlive: (promise: Promise<unknown>) => void;
}

/**
 * How long a filler holds the others back, in milliseconds. Longer than nearly every read of an origin; one that
 * takes longer costs one more read each time that this has passed, and still serves those who wait.
 */
export const LEASE_MS = 3_000;
/** What a gate may take beyond the longest wait: a new object's start, and the way there and back. */
const GATE_SLACK_MS = 500;
export const ENTER_TIMEOUT_MS = LEASE_MS * WAIT_LEASES_MAX + GATE_SLACK_MS;

/**
 * Answers with an entry that another request is just reading, or reads it for all that ask meanwhile.
 *
 * @param gate the key's gate, or undefined to read without one.
 * @param need taken from the mirror before this call, and after it was made as fresh as the level asks.
 * @param fill reads the origin. It takes the entry's stamp from the mirror itself, before it reads: by the time
 *   it is called the mirror may have moved on.
 * @throws what `fill` throws, and nothing else. The failure of another's fill is never passed on.
 */
export async function singleFlight(
  gate: FillGatePort | undefined,
  need: Need,
  fill: () => Promise<Filled>,
  context: FlightContext,
): Promise<Flight> {
  const verdict = gate === undefined ? undefined : await askGate(gate, need, context);
  if (verdict?.verdict === 'value') {
    const entry = usable(verdict.entry, need);
    if (entry !== undefined) return { entry, storable: true, shared: true };
  }
  const filling = fill();
  if (gate !== undefined && verdict?.verdict === 'fill')
    context.keepAlive(report(gate, verdict.ticketId, filling));
  return { ...(await filling), shared: false };
}

/** The verdict, or undefined where the gate has none in time. */
async function askGate(
  gate: FillGatePort,
  need: Need,
  { time, keepAlive }: FlightContext,
): Promise<Verdict | undefined> {
  const entering = gate.enter(need, LEASE_MS);
  try {
    return await time.withTimeout(
      entering,
      ENTER_TIMEOUT_MS,
      () => new Error('The gate did not answer in time.'),
    );
  } catch (error) {
    log('info', 'A fill gate is of no use now; reading by itself.', { 'event.action': 'gate-enter' }, error);
    keepAlive(giveBack(gate, entering));
    return undefined;
  }
}

/** A lease that comes when nobody waits for it any more is handed to the next at once. */
async function giveBack(gate: FillGatePort, entering: Promise<Verdict>): Promise<void> {
  try {
    const late = await entering;
    if (late.verdict === 'fill') await gate.fail(late.ticketId);
  } catch {
    // The gate's error has been logged when it was waited for, and a lease that cannot be given back ends by itself.
  }
}

/** What a gate gives is judged again here: it is an optimisation, and no promise may rest on it. */
function usable(given: Entry, need: Need): Entry | undefined {
  const parsed = Entry.safeParse(given);
  if (parsed.success && meets(parsed.data, need)) return parsed.data;
  log('error', 'A fill gate gave a value that does not meet the need.', { 'event.action': 'gate-enter' });
  return undefined;
}

/** Tells the gate what has become of a fill. A report that is lost costs the waiters the rest of the lease. */
async function report(gate: FillGatePort, ticketId: string, filling: Promise<Filled>): Promise<void> {
  const filled = await filling.catch(() => undefined);
  try {
    if (filled === undefined) await gate.fail(ticketId);
    else if (isShareable(filled)) await gate.complete(ticketId, filled.entry);
    else await gate.disband(ticketId);
  } catch (error) {
    log('info', 'A fill gate did not take a report.', { 'event.action': 'gate-report' }, error);
  }
}

/** Checked here too, so that an entry which the gate would not take is not sent to it. */
function isShareable({ entry, storable }: Filled): boolean {
  return storable && entryBytes(entry) <= ENTRY_BYTES_MAX;
}
