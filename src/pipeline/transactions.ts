import type { EventsMessage } from '../../queues/events/message.ts';
import type { DatabaseFault } from '../storage/postgres/connect.ts';
import type { KnownEvent, StorableEvent } from '../storage/postgres/event-store.ts';

/** Events of one transaction: enough to share its cost, few enough to stay within the statement's time limit. */
const TRANSACTION_EVENTS_MAX = 2_000;
/** A transaction that took too long is divided by this: six steps lead to a single event. */
const SHRINK = 4;
/** After this many single events that take too long, the database is slow for all, and the call gives up. */
const SLOW_EVENTS_MAX = 3;

export interface TransactionPorts {
  /** Stores events of distinct identities in one transaction; those that are there already change nothing. */
  readonly storeEvents: (events: readonly StorableEvent[]) => Promise<readonly KnownEvent[]>;
  readonly classifyFault: (error: unknown) => DatabaseFault;
  /**
   * Whether an error shows that a transaction took too long. Given where there is time to try smaller transactions:
   * otherwise a batch that a slow database cannot store within the limit would be retried for ever.
   */
  readonly isTimeout?: (error: unknown) => boolean;
}

export interface Stored {
  readonly known: readonly KnownEvent[];
  /** Events that the database cannot hold. */
  readonly refused: readonly EventsMessage['refused'][number][];
  /** The errors of events that took too long alone and are not stored. The caller fails after it has handled the others. */
  readonly slow: readonly unknown[];
}

/**
 * Stores events of distinct identities in as few transactions as the database can take. It leaves out an event that
 * takes too long alone, so that the event delays no other.
 */
export async function storeInTransactions(
  events: readonly StorableEvent[],
  ports: TransactionPorts,
): Promise<Stored> {
  const known: KnownEvent[] = [];
  const refused: Stored['refused'][number][] = [];
  const slow: unknown[] = [];
  let size = TRANSACTION_EVENTS_MAX;
  for (let from = 0; from < events.length; ) {
    const part = events.slice(from, from + size);
    try {
      const stored = await storeOrSplit(part, ports);
      known.push(...stored.known);
      refused.push(...stored.refused);
      from += part.length;
    } catch (error) {
      if (!ports.isTimeout?.(error)) throw error;
      if (part.length > 1) size = Math.ceil(part.length / SHRINK);
      else {
        slow.push(error);
        if (slow.length >= SLOW_EVENTS_MAX) throw error;
        from += 1;
      }
    }
  }
  return { known, refused, slow };
}

/** An event as it came, for the quarantine. */
export function rawOf({ effects: _, tags: __, ...attributes }: StorableEvent): unknown {
  return { specversion: '1.0', ...attributes };
}

/** Halves a transaction that the database refuses because of its data, until the bad events stand alone. */
async function storeOrSplit(
  events: readonly StorableEvent[],
  ports: TransactionPorts,
): Promise<Omit<Stored, 'slow'>> {
  try {
    return { known: await ports.storeEvents(events), refused: [] };
  } catch (error) {
    if (ports.classifyFault(error) !== 'data') throw error;
    const [only] = events;
    if (only !== undefined && events.length === 1) {
      const detail = 'The database cannot hold this event.';
      return { known: [], refused: [{ raw: rawOf(only), reason: 'not_storable', pointer: '/data', detail }] };
    }
    const half = Math.ceil(events.length / 2);
    const left = await storeOrSplit(events.slice(0, half), ports);
    const right = await storeOrSplit(events.slice(half), ports);
    return { known: [...left.known, ...right.known], refused: [...left.refused, ...right.refused] };
  }
}
