import type { EventsMessage } from '../../../queues/events/message.ts';
import type { EventDefinition } from '../../define/event.ts';
import type { KafkaRecord } from '../../storage/kafka.ts';
import { eventsMessage, ingest } from '../ingest.ts';
import type { StoreOutcome } from '../store.ts';
import { eventOf } from './binding.ts';

/** Steps in a row that may fail for what they hold, before that goes to the events queue. */
const TRIES_MAX = 3;

/** One partition that is read, as operators see it. */
export interface PartitionReport {
  readonly topic: string;
  readonly partition: number;
  /** What the group has committed; null where nothing is. */
  readonly committed: number | null;
  /** The offset that the next record gets. */
  readonly latest: number;
  /** Records that are not stored yet. */
  readonly lag: number;
  readonly failures: number;
  readonly lastError: string | null;
}

export interface SourcePorts {
  readonly at: { readonly topic: string; readonly partition: number };
  readonly types: ReadonlyMap<string, EventDefinition>;
  readonly now: () => number;
  /** What the group has committed for the partition; undefined where it has not. */
  readonly committed: () => Promise<number | undefined>;
  /** Where the partition begins now. */
  readonly earliest: () => Promise<number>;
  /** Records from an offset on, within a while; none where none came. Null where the partition begins later. */
  readonly fetch: (offset: number) => Promise<readonly KafkaRecord[] | null>;
  /** Returns once what the message holds is committed to the database. */
  readonly store: (message: EventsMessage) => Promise<StoreOutcome>;
  /** Hands the message to the events queue, whose consumer finds what is at fault in it. */
  readonly enqueue: (message: EventsMessage) => Promise<unknown>;
  /** Whether an error tells of something that is away, and not of what was to be stored. */
  readonly isOutage: (error: unknown) => boolean;
  /** Has the caches told of what was stored. */
  readonly relay: () => Promise<unknown>;
  readonly commit: (offset: number) => Promise<unknown>;
  /** Told of records that the partition had dropped before they were read. */
  readonly lost: (from: number, to: number) => void;
}

/** `/v1/admin/kafka` shows the message as the partition's last error, so it names the command that ends the stall. */
function aheadOfPartition({ topic, partition }: SourcePorts['at'], offset: number): Error {
  return new Error(
    `Partition ${partition} of the topic ${topic} ends before offset ${offset}, which its group has committed: the topic was ` +
      'probably deleted and created again. ' +
      `\`npm run cli -- kafka-seek --topic ${topic} --partition ${partition} --to earliest\` reads the partition ` +
      'from its beginning; events that are already stored are recognised as duplicates.',
  );
}

/**
 * One step of a partition: reads, stores, relays, and only then moves the group on. A crash between any two repeats
 * the step, and what is stored already is known by its source and id. Nothing is read ahead, so the partition's order
 * is kept.
 *
 * The topic may be deleted and created again at any moment. Kafka drops the group's offsets with the topic, and a
 * position of the old topic would skip the records of the new one before it. So each step begins at the committed
 * offset, or at the partition's beginning where there is none, and does not commit if that offset has changed
 * meanwhile: the next step then begins at the new one.
 *
 * @param failures steps in a row that have failed before this one.
 */
export async function pump(ports: SourcePorts, failures = 0): Promise<void> {
  const committed = await ports.committed();
  const offset = committed ?? (await ports.earliest());
  const records = await ports.fetch(offset);
  if (records === null) {
    const begin = await ports.earliest();
    if (begin <= offset) throw aheadOfPartition(ports.at, offset);
    ports.lost(offset, begin);
    await ports.commit(begin);
    return;
  }
  const last = records.at(-1);
  if (last === undefined) return;
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

const NOTHING_KNOWN: StoreOutcome = { duplicates: [], conflicts: [], refused: [] };

/** What fails again and again while nothing is away would hold up its partition for ever: the queue takes it apart. */
async function take(message: EventsMessage, failures: number, ports: SourcePorts): Promise<StoreOutcome> {
  try {
    return await ports.store(message);
  } catch (error) {
    if (failures < TRIES_MAX || ports.isOutage(error)) throw error;
    await ports.enqueue(message);
    return NOTHING_KNOWN;
  }
}
