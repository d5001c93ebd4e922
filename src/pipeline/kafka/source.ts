import type { EventsMessage } from '../../../queues/events/message.ts';
import type { EventDefinition } from '../../define/event.ts';
import type { KafkaRecord } from '../../storage/kafka.ts';
import { eventsMessage, ingest } from '../ingest.ts';
import type { StoreOutcome } from '../store.ts';
import { eventOf } from './binding.ts';

/** After this many failed steps in a row, records that fail again without an outage go to the events queue. */
const TRIES_MAX = 3;

export interface SourcePorts {
  readonly at: { readonly topic: string; readonly partition: number };
  readonly types: ReadonlyMap<string, EventDefinition>;
  readonly now: () => number;
  /** The group's committed offset of the partition; undefined before its first commit. */
  readonly committed: () => Promise<number | undefined>;
  /** The offset of the oldest record. */
  readonly earliest: () => Promise<number>;
  /** The records from an offset on; empty if none arrive for a while. Null if the partition does not have the offset. */
  readonly fetch: (offset: number) => Promise<readonly KafkaRecord[] | null>;
  /** Returns once the database has committed the message's events. */
  readonly store: (message: EventsMessage) => Promise<StoreOutcome>;
  /** Enqueues the message, so that the consumer of the events queue finds the failing event. */
  readonly enqueue: (message: EventsMessage) => Promise<unknown>;
  /** Whether an error shows that a dependency is unavailable, so that the records are not at fault. */
  readonly isOutage: (error: unknown) => boolean;
  /** Relays the stored changes. */
  readonly relay: () => Promise<unknown>;
  readonly commit: (offset: number) => Promise<unknown>;
  /** Reports records that Kafka dropped before they were read. */
  readonly lost: (from: number, to: number) => void;
  /** The id of the topic that the committed offset belongs to; undefined before the first record that had one. */
  readonly knownTopic: () => string | undefined;
  readonly learnTopic: (id: string) => void;
  /** Reports that the topic was created again, so that the reader goes back to its first record. */
  readonly recreated: (from: number, to: number) => void;
}

/** `/v1/admin/kafka` shows the message as the partition's last error, so it names the command that ends the stall. */
function aheadOfPartition({ topic, partition }: SourcePorts['at'], offset: number): Error {
  return new Error(
    `Partition ${partition} of the topic ${topic} ends before offset ${offset}, which its group has committed: the ` +
      'offset was probably set by hand, or the topic was deleted and created again. ' +
      `\`npm run cli -- kafka-seek --topic ${topic} --partition ${partition} --to earliest\` reads the partition ` +
      'from its beginning; events that are already stored are recognised as duplicates.',
  );
}

/**
 * One step of a partition: it reads, stores, relays, and then commits the group's offset. A crash in between repeats the
 * step, and the database recognises the stored events by source and id. The step does not read ahead, so the history
 * keeps the partition's order.
 *
 * The topic may be deleted and created again at any moment. Kafka drops the group's offsets with the topic, and a
 * position of the old topic would skip the records of the new one before it. So each step begins at the committed
 * offset, or at the partition's beginning where there is none, and does not commit if that offset has changed
 * meanwhile: the next step then begins at the new one.
 *
 * The group may still have an offset of the old topic, for example if a step committed it during the deletion. The
 * topic's id tells: where it is another one than that of the records before, the step goes back to the partition's
 * beginning.
 *
 * @param failures the number of failed steps in a row before this one.
 */
export async function pump(ports: SourcePorts, failures = 0): Promise<void> {
  const committed = await ports.committed();
  const offset = committed ?? (await ports.earliest());
  const records = await ports.fetch(offset);
  if (records === null) {
    const begin = await ports.earliest();
    if (begin > offset) {
      ports.lost(offset, begin);
      await ports.commit(begin);
      return;
    }
    const [first] = (await ports.fetch(begin)) ?? [];
    if (first !== undefined && (await isRestarted(first, offset, ports))) return;
    throw aheadOfPartition(ports.at, offset);
  }
  const last = records.at(-1);
  if (last === undefined || (await isRestarted(last, offset, ports))) return;
  const read = records.map(eventOf);
  const refused = read.flatMap((one) => ('refused' in one ? [one] : []));
  const events = read.flatMap((one) => ('raw' in one ? [one.raw] : []));
  const now = ports.now();
  await ingest(events, now, {
    types: ports.types,
    take: async (items, receivedAt) =>
      await take(eventsMessage([...items, ...refused], receivedAt), failures, ports),
  });
  await ports.relay();
  if ((await ports.committed()) === committed) await ports.commit(last.offset + 1);
}

/**
 * Goes back to the partition's beginning if the record is of another topic than the offset. The id is learned after the
 * commit, so a step that fails in between is repeated; and before any record is stored, so that the offset after it is
 * known to be of this topic.
 */
async function isRestarted({ topicId }: KafkaRecord, offset: number, ports: SourcePorts): Promise<boolean> {
  const known = ports.knownTopic();
  if (topicId === undefined || topicId === known) return false;
  const begin = known === undefined ? offset : await ports.earliest();
  if (begin < offset) {
    ports.recreated(offset, begin);
    await ports.commit(begin);
  }
  ports.learnTopic(topicId);
  return begin < offset;
}

const NOTHING_KNOWN: StoreOutcome = { duplicates: [], conflicts: [], refused: [] };

/** Passes records that fail repeatedly without an outage to the queue. Otherwise they would block their partition. */
async function take(message: EventsMessage, failures: number, ports: SourcePorts): Promise<StoreOutcome> {
  try {
    return await ports.store(message);
  } catch (error) {
    if (failures < TRIES_MAX || ports.isOutage(error)) throw error;
    await ports.enqueue(message);
    return NOTHING_KNOWN;
  }
}
