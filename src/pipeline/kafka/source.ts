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

const AHEAD_OF_PARTITION =
  'The partition ends before the offset that its group has committed. This happens if the topic was deleted and created again. Set the position by POST /v1/admin/kafka/seek with {"topic", "partition", "to": "earliest"}; events that are already stored are recognised as duplicates.';

/** Where a partition is read on from: after what its group has committed, else from its beginning. */
export async function beginningOf(ports: Pick<SourcePorts, 'committed' | 'earliest'>): Promise<number> {
  return (await ports.committed()) ?? (await ports.earliest());
}

/**
 * One step of a partition: reads, stores, relays, and only then moves the group on. A crash between any two repeats
 * the step, and what is stored already is known by its source and id. Nothing is read ahead, so the partition's order
 * is kept.
 *
 * @param failures steps in a row that have failed before this one.
 * @returns where to go on, and how many records were read.
 */
export async function pump(
  offset: number,
  ports: SourcePorts,
  failures = 0,
): Promise<{ next: number; records: number }> {
  const records = await ports.fetch(offset);
  if (records === null) {
    const begin = await ports.earliest();
    if (begin <= offset) throw new Error(AHEAD_OF_PARTITION);
    ports.lost(offset, begin);
    return { next: begin, records: 0 };
  }
  const last = records.at(-1);
  if (last === undefined) return { next: offset, records: 0 };
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
  const next = last.offset + 1;
  await ports.commit(next);
  return { next, records: records.length };
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
