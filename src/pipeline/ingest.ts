import type { EventsMessage } from '../../queues/events/message.ts';
import type { EventDefinition } from '../catalog/define/event.ts';
import { EVENT_BYTES_MAX } from './cloud-event.ts';
import { type AcceptedEvent, type Judgement, judge, type Refusal } from './judge.ts';

const encoder = new TextEncoder();
const EXCERPT_CHARACTERS = 1_024;

/** What became of one event of a request that was not plainly accepted. */
export interface EventVerdict extends Refusal {
  readonly index: number;
  readonly id: string | null;
  readonly verdict: 'quarantined';
}

export interface IngestReport {
  readonly accepted: number;
  readonly quarantined: number;
  /** The events that were not accepted, in the order of the request. */
  readonly verdicts: readonly EventVerdict[];
}

/** What goes to the queue for one event. */
export type QueueItem =
  | { readonly accepted: AcceptedEvent }
  | { readonly refused: EventsMessage['refused'][number] };

export interface IngestPorts {
  /** Returns once the queue has taken all items. */
  readonly enqueue: (items: readonly QueueItem[], receivedAt: number) => Promise<void>;
  readonly types: ReadonlyMap<string, EventDefinition>;
}

/**
 * Judges events and hands every one of them to the queue, the refused ones with their reason: nothing is
 * dropped. The report is returned only after the queue has taken them.
 */
export async function ingest(
  raw: readonly unknown[],
  now: number,
  ports: IngestPorts,
): Promise<IngestReport> {
  const verdicts: EventVerdict[] = [];
  const items: QueueItem[] = raw.map((event, index) => {
    const size = encoder.encode(JSON.stringify(event)).byteLength;
    const judgement = size > EVENT_BYTES_MAX ? tooLarge(size) : judge(ports.types, event, now);
    if (judgement.verdict === 'accepted') return { accepted: judgement.event };
    const { refusal } = judgement;
    verdicts.push({ index, id: idOf(event), verdict: 'quarantined', ...refusal });
    const { reason, pointer, detail } = refusal;
    return { refused: { raw: size > EVENT_BYTES_MAX ? excerptOf(event) : event, reason, pointer, detail } };
  });
  await ports.enqueue(items, now);
  return { accepted: raw.length - verdicts.length, quarantined: verdicts.length, verdicts };
}

/** A chunk of the queue's items as a message. */
export function eventsMessage(items: readonly QueueItem[], receivedAt: number): EventsMessage {
  return {
    v: 1,
    receivedAt,
    accepted: items.flatMap((item) => ('accepted' in item ? [item.accepted] : [])),
    refused: items.flatMap((item) => ('refused' in item ? [item.refused] : [])),
  };
}

function tooLarge(size: number): Judgement {
  const detail = `The event has ${size} bytes; ${EVENT_BYTES_MAX} are the most.`;
  const refusal = { code: 'event_too_large', reason: 'event_too_large', pointer: '', detail } as const;
  return { verdict: 'quarantined', refusal };
}

/** What is kept of an event that no message can carry: enough to find its producer. */
function excerptOf(event: unknown): unknown {
  return { id: idOf(event), excerpt: JSON.stringify(event).slice(0, EXCERPT_CHARACTERS) };
}

function idOf(event: unknown): string | null {
  if (typeof event !== 'object' || event === null || !('id' in event)) return null;
  return typeof event.id === 'string' ? event.id : null;
}
