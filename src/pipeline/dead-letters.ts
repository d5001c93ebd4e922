import { ChangesMessage } from '../../queues/changes/message.ts';
import { EventsMessage } from '../../queues/events/message.ts';
import { SinkMessage } from '../../queues/sink/message.ts';
import { withoutUnstorable } from '../platform/json.ts';
import { DEAD_LETTER, type QuarantinedEvent, type RefusedEvent } from '../storage/postgres/quarantine.ts';

/** Characters of the reason that are kept. */
const DETAIL_CHARACTERS_MAX = 1_000;

/**
 * The dead letter of a message that no consumer could handle. Messages with the same content have one fingerprint,
 * whenever they were received, so an event that was sent twice is one dead letter.
 */
export async function deadLetterOf(
  message: unknown,
  detail: string,
  fingerprint: (text: string) => Promise<string>,
): Promise<RefusedEvent> {
  const raw = withoutUnstorable(without(message, 'tries')) ?? '';
  return {
    ...subjectOf(raw),
    fingerprint: await fingerprint(JSON.stringify([DEAD_LETTER, identityOf(raw)])),
    reason: DEAD_LETTER,
    pointer: '',
    detail: detail.slice(0, DETAIL_CHARACTERS_MAX).toWellFormed().replaceAll('\u0000', '\uFFFD'),
    raw,
  };
}

/** The content that identifies a letter: its events where it has some, without the changes beside them. */
function identityOf(raw: unknown): unknown {
  const said = without(raw, 'receivedAt');
  return (ChangesMessage.safeParse(raw).data?.events.length ?? 0) > 0 ? without(said, 'changes') : said;
}

/** Leaves out one member. The count of tries is never kept, so a replayed letter gets all its tries again. */
function without(message: unknown, left: 'tries' | 'receivedAt' | 'changes'): unknown {
  if (typeof message !== 'object' || message === null || Array.isArray(message)) return message;
  return Object.fromEntries(Object.entries(message).filter(([name]) => name !== left));
}

/** The event of a message that holds a single one, so that the event's status shows the dead letter. */
function subjectOf(raw: unknown): Pick<RefusedEvent, 'source' | 'eventId' | 'type'> {
  const [event, ...others] = EventsMessage.safeParse(raw).data?.accepted ?? [];
  if (event !== undefined && others.length === 0)
    return { source: event.source, eventId: event.id, type: event.type };
  const [change, ...more] = ChangesMessage.safeParse(raw).data?.events ?? [];
  return { source: null, eventId: null, type: more.length === 0 ? (change?.type ?? null) : null };
}

export interface DeadLetterReplayPorts {
  readonly read: (
    ids: readonly number[],
  ) => Promise<readonly (QuarantinedEvent & { readonly raw: unknown })[]>;
  readonly sendEvents: (message: EventsMessage) => Promise<unknown>;
  readonly sendChanges: (message: ChangesMessage) => Promise<unknown>;
  readonly sendSink: (message: SinkMessage) => Promise<unknown>;
  /** Closes the letters that have not died again since `keptUntil`. */
  readonly resolve: (ids: readonly number[], keptUntil: Date) => Promise<void>;
}

export interface Replayed {
  readonly id: number;
  readonly outcome: 'sent' | 'not_found' | 'closed' | 'not_a_message';
}

/**
 * Sends dead letters to the queues that they came from, and closes them. A letter that was sent but not closed is sent
 * again by the next replay; consumers are idempotent. A letter that dies again is open again.
 */
export async function replayDeadLetters(
  ids: readonly number[],
  ports: DeadLetterReplayPorts,
): Promise<Replayed[]> {
  const letters = new Map((await ports.read(ids)).map((letter) => [letter.id, letter]));
  const results: Replayed[] = [];
  for (const id of ids) {
    const letter = letters.get(id);
    if (letter?.reason !== DEAD_LETTER) results.push({ id, outcome: 'not_found' });
    else if (letter.state !== 'open') results.push({ id, outcome: 'closed' });
    else results.push({ id, outcome: (await send(letter.raw, ports)) ? 'sent' : 'not_a_message' });
  }
  const sent = results.flatMap(({ id, outcome }) => (outcome === 'sent' ? [id] : []));
  // The database has times in microseconds, and the newest letter is among those that were read.
  const newestMs = Math.max(0, ...[...letters.values()].map(({ receivedAt }) => Date.parse(receivedAt)));
  await ports.resolve(sent, new Date(newestMs + 1));
  return results;
}

/** Finds the queue by the schema that the message matches: no message matches two. */
async function send(raw: unknown, ports: DeadLetterReplayPorts): Promise<boolean> {
  const events = EventsMessage.safeParse(raw);
  const changes = ChangesMessage.safeParse(raw);
  const sink = SinkMessage.safeParse(raw);
  if (events.success) await ports.sendEvents(events.data);
  else if (changes.success) await ports.sendChanges(changes.data);
  else if (sink.success) await ports.sendSink(sink.data);
  return events.success || changes.success || sink.success;
}
