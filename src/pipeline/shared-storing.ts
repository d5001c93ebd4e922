import type { EventsMessage } from '../../queues/events/message.ts';
import { Failure, type FailureCode } from '../platform/failure.ts';
import type { GroupCommit } from '../platform/group-commit.ts';
import { sized } from '../platform/pack.ts';
import { identityOf } from './identity.ts';
import type { StoreOutcome } from './store.ts';

/** Events of a request that are stored together with those of other requests; a request with more stores alone. */
export const SHARED_EVENTS_MAX = 10;

/** What became of the events of one or several requests. */
export interface StoredEvents {
  readonly outcome: StoreOutcome;
  /** Reads with the token show the events; undefined if they are stored and not relayed yet. */
  readonly token: string | undefined;
}

/** The requests that store together. Each item is the message of a request. */
export type SharedStoring = GroupCommit<EventsMessage, StoredEvents>;

export interface SharedStoringPorts {
  /** Stores and relays the events of some messages, or fails. Safe to repeat. */
  readonly store: (messages: readonly EventsMessage[]) => Promise<StoredEvents>;
  readonly keepAlive: (work: Promise<unknown>) => void;
}

/** A group of several requests failed, and the events of one of them may be the reason. */
class NotTogether extends Error {
  override readonly name = 'NotTogether';
}

/** Failures of what all requests need, so a request that stored alone would fail as well. */
const OUTAGES: readonly FailureCode[] = ['database_unavailable', 'relay_unavailable'];

/**
 * Stores the events of one request in a transaction that it shares with other small requests of the same moment, and
 * returns what became of its own events, as if it had stored alone.
 *
 * - A group has each source and id once. Of two requests with the same event, the database decides which is the
 *   duplicate.
 * - Each message keeps the time at which its request arrived, and its events are judged as of that time.
 * - If a group fails for another reason than an outage, each of its requests stores alone, so that the events of one
 *   request cannot fail another.
 *
 * @throws Failure `database_unavailable` if the group does not end in time; its events may be stored.
 */
export async function storeShared(
  message: EventsMessage,
  groups: SharedStoring,
  { store, keepAlive }: SharedStoringPorts,
): Promise<StoredEvents> {
  if (message.accepted.length + message.refused.length > SHARED_EVENTS_MAX) return await store([message]);
  const own = new Set(message.accepted.map(identityOf));
  try {
    const { outcome, token } = await groups.add([{ ...sized(message), keys: [...own] }], {
      commit: async (messages) => await together(messages, store),
      keepAlive,
      onTimeout: () =>
        new Failure('database_unavailable', 'The database did not store the events in time. Try again.', {
          retryAfterS: 5,
        }),
    });
    return { outcome: outcomeOf(own, outcome), token };
  } catch (error) {
    if (!(error instanceof NotTogether)) throw error;
    return await store([message]);
  }
}

async function together(
  messages: readonly EventsMessage[],
  store: SharedStoringPorts['store'],
): Promise<StoredEvents> {
  try {
    return await store(messages);
  } catch (cause) {
    const isOutage = cause instanceof Failure && OUTAGES.includes(cause.code);
    if (isOutage || messages.length === 1) throw cause;
    throw new NotTogether('The events of several requests could not be stored together.', { cause });
  }
}

/** The part of a group's outcome that concerns the events of one request. */
function outcomeOf(own: ReadonlySet<string>, { duplicates, conflicts, refused }: StoreOutcome): StoreOutcome {
  return {
    duplicates: duplicates.filter((event) => own.has(identityOf(event))),
    conflicts: conflicts.filter((event) => own.has(identityOf(event))),
    refused: refused.filter(({ event }) => own.has(identityOf(event))),
  };
}
