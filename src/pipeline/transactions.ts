import { jsonPointer } from '../platform/failure.ts';
import { log } from '../platform/logger.ts';
import type { DatabaseFault } from '../storage/postgres/connect.ts';
import type { KnownEvent, StorableEvent } from '../storage/postgres/event-store.ts';
import { describeRefusal, isMismatch, locate, refusalOf } from '../storage/postgres/refusal.ts';

/** Events of one transaction: enough to share its cost, few enough to stay within the statement's time limit. */
const TRANSACTION_EVENTS_MAX = 2_000;
/** A transaction that took too long is divided by this: six steps lead to a single event. */
const SHRINK = 4;
/** After this many single events that take too long, the database is slow for all, and the call gives up. */
const SLOW_EVENTS_MAX = 3;

export interface TransactionPorts {
  /** Stores events of distinct identities in one transaction; events that are stored already change nothing. */
  readonly storeEvents: (events: readonly StorableEvent[]) => Promise<readonly KnownEvent[]>;
  readonly classifyFault: (error: unknown) => DatabaseFault;
  /**
   * Whether an error shows that a transaction took too long. Given where there is time to try smaller transactions:
   * otherwise a batch that a slow database cannot store within the limit would be retried for ever.
   */
  readonly isTimeout?: (error: unknown) => boolean;
}

/** Why the database refuses an event. */
export interface StorageRefusal {
  readonly event: StorableEvent;
  readonly reason: typeof STORAGE_REFUSED;
  /** JSON Pointer into the event, as far as the column at fault is known. */
  readonly pointer: string;
  /** With SQLSTATE, table, column and constraint, as far as they are known. */
  readonly detail: string;
}

/** The reason of events that the database refuses for their data. */
export const STORAGE_REFUSED = 'storage_refused';

export interface Stored {
  readonly known: readonly KnownEvent[];
  /** Events that the database refuses for their data. */
  readonly refused: readonly StorageRefusal[];
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
  const refused: StorageRefusal[] = [];
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

/** Halves a transaction that the database refuses because of its data, until the bad events stand alone. */
async function storeOrSplit(
  events: readonly StorableEvent[],
  ports: TransactionPorts,
): Promise<Omit<Stored, 'slow'>> {
  try {
    return { known: await ports.storeEvents(events), refused: [] };
  } catch (error) {
    if (ports.classifyFault(error) !== 'data') {
      logMismatch(error);
      throw error;
    }
    const [only] = events;
    if (only !== undefined && events.length === 1) return { known: [], refused: [refused(only, error)] };
    const half = Math.ceil(events.length / 2);
    const left = await storeOrSplit(events.slice(0, half), ports);
    const right = await storeOrSplit(events.slice(half), ports);
    return { known: [...left.known, ...right.known], refused: [...left.refused, ...right.refused] };
  }
}

/** Describes and logs why the database refuses one event. The log has no values: they are the producer's. */
function refused(event: StorableEvent, error: unknown): StorageRefusal {
  const found = refusalOf(error);
  const { refusal, property } =
    found === undefined ? { refusal: undefined, property: undefined } : locate(found, event.effects);
  log('warn', 'The database refused an event. It is kept in quarantine.', {
    ...{
      'event.action': 'store',
      'millrace.event.type': event.type,
    },
    ...{ 'error.code': refusal?.sqlState, 'millrace.db.table': refusal?.table },
    ...{ 'millrace.db.column': refusal?.column, 'millrace.db.constraint': refusal?.constraint },
  });
  const isNamed =
    property !== undefined &&
    typeof event.data === 'object' &&
    event.data !== null &&
    Object.hasOwn(event.data, property);
  const why = refusal === undefined ? 'it gave no reason.' : describeRefusal(refusal);
  return {
    event,
    reason: STORAGE_REFUSED,
    pointer: isNamed ? jsonPointer(['data', property]) : '/data',
    detail: `The database refused the event: ${why}`,
  };
}

/** A missing table or column, which the catalog declares, is not the fault of the events: they are retried until it exists. */
function logMismatch(error: unknown): void {
  const refusal = refusalOf(error);
  if (refusal === undefined || !isMismatch(refusal)) return;
  const message =
    'The catalog does not fit the database, so events cannot be stored. Apply the migrations, or correct the catalog. The events are retried, and kept as dead letters after the last try.';
  log('error', message, {
    ...{ 'event.action': 'store', 'error.code': refusal.sqlState },
    ...{ 'millrace.db.table': refusal.table, 'millrace.db.column': refusal.column },
    'millrace.db.missing': /"([\w.]+)"/.exec(refusal.message)?.[1],
  });
}
