import type { EventsMessage } from '../../queues/events/message.ts';
import type { EventDefinition } from '../catalog/define/event.ts';
import type { DatabaseFault } from '../storage/postgres/connect.ts';
import type { EventIdentity, KnownEvent, StorableEvent } from '../storage/postgres/event-store.ts';
import type { RefusedEvent } from '../storage/postgres/quarantine.ts';
import { distinct, identityOf, saysTheSame } from './identity.ts';
import { judge } from './judge.ts';
import { withoutUnstorable } from './unstorable.ts';

/** Events of one transaction: enough to share its cost, few enough to stay within the statement's time limit. */
const TRANSACTION_EVENTS_MAX = 2_000;

export interface StorePorts {
  readonly types: ReadonlyMap<string, EventDefinition>;
  /** Stores events of distinct identities in one transaction; those that are there already change nothing. */
  readonly storeEvents: (events: readonly StorableEvent[]) => Promise<readonly KnownEvent[]>;
  readonly keepRefused: (refused: readonly RefusedEvent[]) => Promise<void>;
  readonly classifyFault: (error: unknown) => DatabaseFault;
  readonly fingerprint: (text: string) => Promise<string>;
}

type Refused = EventsMessage['refused'][number];

/** What became of the events that were not simply stored. */
export interface StoreOutcome {
  /** There already, or twice in one call, and saying the same. */
  readonly duplicates: readonly EventIdentity[];
  /** Put into quarantine, because the event of their identity that is there says something else. */
  readonly conflicts: readonly EventIdentity[];
}

/**
 * Stores what some messages hold. Events are judged again first: a queue's body is not trusted, and the
 * catalog may have changed since. An event that the database itself refuses goes to quarantine alone, and so does
 * one that says something else than the event of its source and id that is there. Safe to repeat as a whole.
 */
export async function storeMessages(
  messages: readonly EventsMessage[],
  ports: StorePorts,
): Promise<StoreOutcome> {
  const refused: Refused[] = messages.flatMap((message) => message.refused);
  const storable: StorableEvent[] = [];
  for (const { accepted, receivedAt } of messages) {
    for (const event of accepted) {
      const raw = { specversion: '1.0', ...event };
      const judged = judge(ports.types, raw, receivedAt);
      const { sentAs } = event;
      if (judged.verdict === 'quarantined') {
        const { reason, pointer, detail } = judged.refusal;
        refused.push({ raw, reason, pointer, detail });
      } else {
        const sent = sentAs === undefined ? judged.event : { ...judged.event, sentAs };
        const { effects, tags } = judged.meaning;
        storable.push({ ...sent, effects, tags });
      }
    }
  }
  const outcome: { duplicates: EventIdentity[]; conflicts: StorableEvent[] } = {
    duplicates: [],
    conflicts: [],
  };
  // What contradicts another event of the call may be what is stored already, so each is held against the database.
  for (let left: readonly StorableEvent[] = storable; left.length > 0; ) {
    const { first, duplicates, conflicts } = distinct(left, ports.types);
    outcome.duplicates.push(...duplicates);
    for (let from = 0; from < first.length; from += TRANSACTION_EVENTS_MAX) {
      const part = await storeOrSplit(first.slice(from, from + TRANSACTION_EVENTS_MAX), ports);
      refused.push(...part.refused);
      const known = inOtherVersions(part.known, first, ports);
      outcome.duplicates.push(...known.filter(({ same }) => same));
      const others = new Set(known.filter(({ same }) => !same).map(identityOf));
      outcome.conflicts.push(...first.filter((event) => others.has(identityOf(event))));
    }
    left = conflicts;
  }
  refused.push(...outcome.conflicts.map(asConflict));
  await ports.keepRefused(await Promise.all(refused.map((event) => describe(event, ports))));
  return outcome;
}

/** What is there already and was sent in another version says the same where the current contract reads the same. */
function inOtherVersions(
  known: readonly KnownEvent[],
  events: readonly StorableEvent[],
  { types }: StorePorts,
): readonly KnownEvent[] {
  if (!known.some(({ same, stored }) => !same && stored !== undefined)) return known;
  const sent = new Map(events.map((event) => [identityOf(event), event]));
  return known.map((one) => {
    const event = sent.get(identityOf(one));
    if (one.same || one.stored === undefined || event === undefined) return one;
    return { ...one, same: saysTheSame(one.stored, event, types) };
  });
}

function asConflict(event: StorableEvent): Refused {
  const detail = 'Another event of this source and id is there, and says something else.';
  return { raw: rawOf(event), reason: 'conflicting_duplicate', pointer: '/id', detail };
}

function rawOf({ effects: _, tags: __, ...attributes }: StorableEvent): unknown {
  return { specversion: '1.0', ...attributes };
}

interface Part {
  readonly known: readonly KnownEvent[];
  readonly refused: readonly Refused[];
}

/** Halves a transaction that the database refuses for its data, until the events at fault stand alone. */
async function storeOrSplit(events: readonly StorableEvent[], ports: StorePorts): Promise<Part> {
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
