import type { EventsMessage } from '../../queues/events/message.ts';
import type { EventDefinition } from '../catalog/define/event.ts';
import type { DatabaseFault } from '../storage/postgres/connect.ts';
import type { StorableEvent } from '../storage/postgres/event-store.ts';
import type { RefusedEvent } from '../storage/postgres/quarantine.ts';
import { judge } from './judge.ts';

/** Events of one transaction: enough to share its cost, few enough to stay within the statement's time limit. */
const TRANSACTION_EVENTS_MAX = 2_000;

export interface StorePorts {
  readonly types: ReadonlyMap<string, EventDefinition>;
  /** Stores events in one transaction; those that are there already change nothing. */
  readonly storeEvents: (events: readonly StorableEvent[]) => Promise<void>;
  readonly keepRefused: (refused: readonly RefusedEvent[]) => Promise<void>;
  readonly classifyFault: (error: unknown) => DatabaseFault;
  readonly fingerprint: (text: string) => Promise<string>;
}

type Refused = EventsMessage['refused'][number];

/**
 * Stores what some messages hold. Events are judged again first: a queue's body is not trusted, and the
 * catalog may have changed since. An event that the database itself refuses goes to quarantine alone.
 * Safe to repeat as a whole.
 */
export async function storeMessages(messages: readonly EventsMessage[], ports: StorePorts): Promise<void> {
  const refused: Refused[] = messages.flatMap((message) => message.refused);
  const storable: StorableEvent[] = [];
  for (const { accepted, receivedAt } of messages) {
    for (const event of accepted) {
      const raw = { specversion: '1.0', ...event };
      const judged = judge(ports.types, raw, receivedAt);
      const meaning = ports.types
        .get(event.type)
        ?.interpret(event.data, { occurredAt: Date.parse(event.time), now: receivedAt });
      if (judged.verdict === 'quarantined') {
        const { reason, pointer, detail } = judged.refusal;
        refused.push({ raw, reason, pointer, detail });
      } else if (meaning?.ok) {
        storable.push({ ...judged.event, effects: meaning.effects, tags: meaning.tags });
      }
    }
  }
  for (let from = 0; from < storable.length; from += TRANSACTION_EVENTS_MAX) {
    refused.push(...(await storeOrSplit(storable.slice(from, from + TRANSACTION_EVENTS_MAX), ports)));
  }
  await ports.keepRefused(await Promise.all(refused.map((event) => describe(event, ports))));
}

/** Halves a transaction that the database refuses for its data, until the events at fault stand alone. */
async function storeOrSplit(events: readonly StorableEvent[], ports: StorePorts): Promise<Refused[]> {
  try {
    await ports.storeEvents(events);
    return [];
  } catch (error) {
    if (ports.classifyFault(error) !== 'data') throw error;
    const [only] = events;
    if (only !== undefined && events.length === 1) {
      const { effects: _, tags: __, ...raw } = only;
      const detail = 'The database cannot hold this event.';
      return [{ raw: { specversion: '1.0', ...raw }, reason: 'not_storable', pointer: '/data', detail }];
    }
    const half = Math.ceil(events.length / 2);
    return [
      ...(await storeOrSplit(events.slice(0, half), ports)),
      ...(await storeOrSplit(events.slice(half), ports)),
    ];
  }
}

async function describe({ raw, reason, pointer, detail }: Refused, ports: StorePorts): Promise<RefusedEvent> {
  const safe = withoutUnstorable(raw);
  const attribute = (name: string): string | null => {
    if (typeof safe !== 'object' || safe === null || !(name in safe)) return null;
    const value: unknown = Reflect.get(safe, name);
    return typeof value === 'string' ? value : null;
  };
  return {
    fingerprint: await ports.fingerprint(JSON.stringify([reason, raw])),
    source: attribute('source'),
    eventId: attribute('id'),
    type: attribute('type'),
    reason,
    pointer,
    detail,
    raw: safe,
  };
}

/** Postgres' jsonb holds neither NUL nor lone surrogates: what a refused event has of them is replaced. */
function withoutUnstorable(raw: unknown): unknown {
  const clean = (text: string) => text.toWellFormed().replaceAll('\u0000', '\uFFFD');
  return JSON.parse(
    JSON.stringify(raw, (_, value: unknown) => {
      if (typeof value === 'string') return clean(value);
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [clean(key), inner]));
    }),
  );
}
