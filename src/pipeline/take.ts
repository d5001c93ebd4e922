import type { EventsMessage } from '../../queues/events/message.ts';
import type { EventDefinition } from '../define/event.ts';
import { Failure } from '../platform/failure.ts';
import { eventsMessage, type QueueItem, type Taken } from './ingest.ts';
import type { StoreOutcome } from './store.ts';

export interface TakePorts {
  readonly types: ReadonlyMap<string, EventDefinition>;
  /** Returns once the queue has taken all items. */
  readonly enqueue: (items: readonly QueueItem[], receivedAt: number) => Promise<void>;
  /**
   * Stores and relays the events of one message, and returns the token with which reads show them; undefined if they are
   * stored and not relayed yet.
   */
  readonly store: (message: EventsMessage) => Promise<{ outcome: StoreOutcome; token: string | undefined }>;
}

/** How the events of a request are taken in. */
export interface Acceptance {
  readonly take: (items: readonly QueueItem[], receivedAt: number) => Promise<Taken>;
  /** After `take`: the token with which reads show the events; undefined where they are only queued. */
  readonly token: () => string | undefined;
}

const NOTHING_KNOWN: Taken = { duplicates: [], conflicts: [], refused: [] };

/**
 * Enqueues events, or stores them before the answer, where the request or one of their types asks for that. While
 * the database is unavailable, it enqueues the events if only the request, and none of the types, asked to wait.
 *
 * @param wanted whether the request asks to wait (`Prefer: wait`, RFC 7240 §4.3).
 */
export function acceptance(wanted: boolean, ports: TakePorts): Acceptance {
  let token: string | undefined;
  const take: Acceptance['take'] = async (items, receivedAt) => {
    const needed = items.some(
      (item) => 'accepted' in item && ports.types.get(item.accepted.type)?.acknowledged === 'stored',
    );
    if (!wanted && !needed) {
      await ports.enqueue(items, receivedAt);
      return NOTHING_KNOWN;
    }
    try {
      const stored = await ports.store(eventsMessage(items, receivedAt));
      token = stored.token;
      return stored.outcome;
    } catch (error) {
      if (needed || !(error instanceof Failure) || error.code !== 'database_unavailable') throw error;
      await ports.enqueue(items, receivedAt);
      return NOTHING_KNOWN;
    }
  };
  return { take, token: () => token };
}
