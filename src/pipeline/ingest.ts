import type { EventsMessage } from '../../queues/events/message.ts';
import type { EventDefinition } from '../define/event.ts';
import { Failure } from '../platform/failure.ts';
import { utf8Length } from '../platform/pack.ts';
import type { EventIdentity } from '../storage/postgres/event-store.ts';
import { asCloudEvent, EVENT_BYTES_MAX } from './cloud-event.ts';
import { distinct, identityOf } from './identity.ts';
import { type AcceptedEvent, type Judgement, judge, type Refusal } from './judge.ts';
import type { StoredEvents } from './shared-storing.ts';
import { STORAGE_REFUSED, type StorageRefusal } from './transactions.ts';

const EXCERPT_CHARACTERS = 1_024;

/** The verdict on an event of a request that is a duplicate or was refused. */
export type EventVerdict =
  | { readonly index: number; readonly id: string | null; readonly verdict: 'duplicate' }
  | (Omit<Refusal, 'code'> & {
      readonly index: number;
      readonly id: string | null;
      readonly verdict: 'quarantined';
      readonly code: Refusal['code'] | 'conflicting_duplicate' | typeof STORAGE_REFUSED;
    });

export interface IngestReport {
  readonly accepted: number;
  /** Events that were sent before: in this request or, where it waited for storing, in any. */
  readonly duplicates: number;
  readonly quarantined: number;
  /** The duplicates and the refused events, in the order of the request. */
  readonly verdicts: readonly EventVerdict[];
}

/** One event on its way to the queue or the database. */
export type QueueItem =
  | { readonly accepted: AcceptedEvent }
  | { readonly refused: EventsMessage['refused'][number] };

/** The accepted events that the database already has: with the same content, or with other content. */
export interface Taken {
  readonly duplicates: readonly EventIdentity[];
  readonly conflicts: readonly EventIdentity[];
  /** Those that the database refused. */
  readonly refused: readonly StorageRefusal[];
}

export interface IngestPorts {
  /** Returns once the queue or the database has all items. */
  readonly take: (items: readonly QueueItem[], receivedAt: number) => Promise<Taken>;
  readonly types: ReadonlyMap<string, EventDefinition>;
}

/** An event of the request with its verdict. */
type Judged =
  | { readonly index: number; readonly event: AcceptedEvent }
  | { readonly index: number; readonly raw: unknown; readonly refusal: Refusal };

const CONFLICT = {
  code: 'conflicting_duplicate',
  reason: 'conflicting_duplicate',
  pointer: '/id',
  detail: 'Another event has this source and id, and other content.',
} as const;

/**
 * Judges events and hands all of them on, the refused ones with their reason. It drops duplicates and nothing else.
 * It returns the report only after all events were taken.
 */
export async function ingest(
  raw: readonly unknown[],
  now: number,
  ports: IngestPorts,
): Promise<IngestReport> {
  const judged = raw.map((event, index) => judgedAt(index, event, now, ports));
  const accepted = judged.flatMap((one) => ('event' in one ? [{ index: one.index, ...one.event }] : []));
  const { first, duplicates, conflicts } = distinct(accepted, ports.types);
  const verdicts: EventVerdict[] = [
    ...judged.flatMap((one) =>
      'refusal' in one ? [quarantined(one.index, idOf(one.raw), one.refusal)] : [],
    ),
    ...duplicates.map(({ index, id }) => ({ index, id, verdict: 'duplicate' }) as const),
    ...conflicts.map(({ index, id }) => quarantined(index, id, CONFLICT)),
  ];
  const items: [index: number, item: QueueItem][] = [
    ...first.map(({ index, ...event }): [number, QueueItem] => [index, { accepted: event }]),
    ...judged.flatMap((one): [number, QueueItem][] =>
      'refusal' in one ? [[one.index, { refused: refusedItem(one.raw, one.refusal) }]] : [],
    ),
    ...conflicts.map((event): [number, QueueItem] => {
      return [event.index, { refused: refusedItem(asCloudEvent(event), CONFLICT) }];
    }),
  ];
  // In the order of the request: it is the order in which the events happened.
  items.sort(([a], [b]) => a - b);
  const taken = await ports.take(
    items.map(([, item]) => item),
    now,
  );
  const indexOf = new Map(first.map((event) => [identityOf(event), event.index]));
  for (const known of taken.duplicates)
    verdicts.push({ index: indexOf.get(identityOf(known)) ?? 0, id: known.id, verdict: 'duplicate' });
  for (const known of taken.conflicts)
    verdicts.push(quarantined(indexOf.get(identityOf(known)) ?? 0, known.id, CONFLICT));
  for (const { event, ...refusal } of taken.refused)
    verdicts.push(
      quarantined(indexOf.get(identityOf(event)) ?? 0, event.id, { ...refusal, code: STORAGE_REFUSED }),
    );
  verdicts.sort((a, b) => a.index - b.index);
  const count = (wanted: EventVerdict['verdict']) =>
    verdicts.filter(({ verdict }) => verdict === wanted).length;
  return {
    accepted: raw.length - verdicts.length,
    duplicates: count('duplicate'),
    quarantined: count('quarantined'),
    verdicts,
  };
}

function judgedAt(index: number, event: unknown, now: number, { types }: IngestPorts): Judged {
  const size = utf8Length(JSON.stringify(event));
  const judgement = size > EVENT_BYTES_MAX ? tooLarge(size) : judge(types, event, now);
  if (judgement.verdict === 'accepted') return { index, event: judgement.event };
  return { index, raw: size > EVENT_BYTES_MAX ? excerptOf(event) : event, refusal: judgement.refusal };
}

function quarantined<Code>(
  index: number,
  id: string | null,
  { code, reason, pointer, detail }: { code: Code; reason: string; pointer: string; detail: string },
) {
  return { index, id, verdict: 'quarantined', code, reason, pointer, detail } as const;
}

function refusedItem(
  raw: unknown,
  { reason, pointer, detail }: { reason: string; pointer: string; detail: string },
): EventsMessage['refused'][number] {
  return { raw, reason, pointer, detail };
}

/** A message of the `events` queue with these items. */
export function eventsMessage(items: readonly QueueItem[], receivedAt: number): EventsMessage {
  return {
    v: 1,
    receivedAt,
    accepted: items.flatMap((item) => ('accepted' in item ? [item.accepted] : [])),
    refused: items.flatMap((item) => ('refused' in item ? [item.refused] : [])),
  };
}

function tooLarge(size: number): Judgement {
  const detail = `The event has ${size} bytes; at most ${EVENT_BYTES_MAX} are allowed.`;
  const refusal = { code: 'event_too_large', reason: 'event_too_large', pointer: '', detail } as const;
  return { verdict: 'quarantined', refusal };
}

/** What quarantine keeps of an event that is too large for a message: enough to find its producer. */
function excerptOf(event: unknown): unknown {
  return { id: idOf(event), excerpt: JSON.stringify(event).slice(0, EXCERPT_CHARACTERS) };
}

function idOf(event: unknown): string | null {
  if (typeof event !== 'object' || event === null || !('id' in event)) return null;
  return typeof event.id === 'string' ? event.id : null;
}

export interface TakePorts {
  readonly types: ReadonlyMap<string, EventDefinition>;
  /** Returns once the queue has taken all items. */
  readonly enqueue: (items: readonly QueueItem[], receivedAt: number) => Promise<void>;
  /**
   * Stores and relays the events of one message, and returns the token with which reads show them; undefined if they are
   * stored and not relayed yet.
   */
  readonly store: (message: EventsMessage) => Promise<StoredEvents>;
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
