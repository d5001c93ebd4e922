import type { EventsMessage } from '../../queues/events/message.ts';
import type { EventDefinition } from '../define/event.ts';
import { withoutUnstorable } from '../platform/json.ts';
import type { EventIdentity, KnownEvent, StorableEvent } from '../storage/postgres/event-store.ts';
import type { RefusedEvent } from '../storage/postgres/quarantine.ts';
import { asCloudEvent, ID_CHARACTERS_MAX, SOURCE_CHARACTERS_MAX } from './cloud-event.ts';
import { distinct, identityOf, saysTheSame } from './identity.ts';
import { judge } from './judge.ts';
import { sampledTrace } from './traced-events.ts';
import { type StorageRefusal, storeInTransactions, type TransactionPorts } from './transactions.ts';

export interface StorePorts extends TransactionPorts {
  readonly types: ReadonlyMap<string, EventDefinition>;
  readonly keepRefused: (refused: readonly RefusedEvent[]) => Promise<void>;
  readonly fingerprint: (text: string) => Promise<string>;
}

type Refused = EventsMessage['refused'][number];

/** What became of the events that were not simply stored. */
export interface StoreOutcome {
  /** Stored before, or twice in one call, with the same content. */
  readonly duplicates: readonly EventIdentity[];
  /** Put into quarantine, because the stored event with the same source and id has other content. */
  readonly conflicts: readonly EventIdentity[];
  /** Put into quarantine, because the database refused them. */
  readonly refused: readonly StorageRefusal[];
}

/**
 * Stores the events of some messages. Events are judged again first: a queue's body is not trusted, and the catalog may
 * have changed since. An event that the database itself refuses goes to quarantine alone. So does an event whose content
 * differs from that of the stored event with the same source and id. The call is safe to repeat.
 */
export async function storeMessages(
  messages: readonly EventsMessage[],
  ports: StorePorts,
): Promise<StoreOutcome> {
  const refused: Refused[] = messages.flatMap((message) => message.refused);
  const storable: StorableEvent[] = [];
  for (const { accepted, receivedAt } of messages) {
    for (const event of accepted) {
      const raw = asCloudEvent(event);
      const judged = judge(ports.types, raw, receivedAt);
      const { sentAs } = event;
      const trace = event.trace ?? sampledTrace(event.extensions);
      if (judged.verdict === 'quarantined') {
        const { reason, pointer, detail } = judged.refusal;
        refused.push({ raw, reason, pointer, detail });
      } else {
        const { effects, tags } = judged.meaning;
        storable.push({
          ...judged.event,
          ...(sentAs === undefined ? {} : { sentAs }),
          ...(trace === undefined ? {} : { trace }),
          ...{ effects, tags },
        });
      }
    }
  }
  const outcome: { duplicates: EventIdentity[]; conflicts: StorableEvent[]; refused: StorageRefusal[] } = {
    ...{ duplicates: [], conflicts: [], refused: [] },
  };
  const slow: unknown[] = [];
  // Two events of the call may contradict each other, and the database may have either: each is compared with it.
  for (let left: readonly StorableEvent[] = storable; left.length > 0; ) {
    const { first, duplicates, conflicts } = distinct(left, ports.types);
    outcome.duplicates.push(...duplicates);
    const stored = await storeInTransactions(first, ports);
    outcome.refused.push(...stored.refused);
    slow.push(...stored.slow);
    const known = inOtherVersions(stored.known, first, ports);
    outcome.duplicates.push(...known.filter(({ same }) => same));
    const others = new Set(known.filter(({ same }) => !same).map(identityOf));
    outcome.conflicts.push(...first.filter((event) => others.has(identityOf(event))));
    left = conflicts;
  }
  refused.push(...outcome.conflicts.map(asConflict));
  for (const { event, reason, pointer, detail } of outcome.refused)
    refused.push({ raw: asCloudEvent(event), reason, pointer, detail });
  await ports.keepRefused(await Promise.all(refused.map((event) => describe(event, ports))));
  if (slow.length > 0) throw slow[0];
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
  const detail = 'Another event has this source and id, and other content.';
  return { raw: asCloudEvent(event), reason: 'conflicting_duplicate', pointer: '/id', detail };
}

async function describe({ raw, reason, pointer, detail }: Refused, ports: StorePorts): Promise<RefusedEvent> {
  const safe = withoutUnstorable(raw);
  const attribute = (name: string, charactersMax: number): string | null => {
    if (typeof safe !== 'object' || safe === null || !Object.hasOwn(safe, name)) return null;
    const value: unknown = Reflect.get(safe, name);
    return typeof value === 'string' ? excerpt(value, charactersMax) : null;
  };
  return {
    fingerprint: await ports.fingerprint(JSON.stringify([reason, raw])),
    source: attribute('source', SOURCE_CHARACTERS_MAX),
    eventId: attribute('id', ID_CHARACTERS_MAX),
    type: attribute('type', ID_CHARACTERS_MAX),
    reason,
    pointer,
    detail,
    raw: safe,
  };
}

/**
 * The beginning of an attribute, for the columns by which operators find an entry. An entry of a Postgres index has at
 * most 2,704 bytes, which a source and an id of the greatest length fit; `raw` has the attribute unchanged.
 */
function excerpt(text: string, charactersMax: number): string {
  return text.slice(0, charactersMax).toWellFormed();
}
