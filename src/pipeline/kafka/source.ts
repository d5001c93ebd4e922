import type { EventsMessage } from '../../../queues/events/message.ts';
import type { EventDefinition } from '../../define/event.ts';
import type { KafkaRecord } from '../../storage/kafka.ts';
import { eventsMessage, ingest } from '../ingest.ts';
import type { StoreOutcome } from '../store.ts';
import { eventOf } from './binding.ts';

/** After this many failed steps in a row, records that fail again without an outage go to the events queue. */
const TRIES_MAX = 3;

/** The state of a source partition, for operators. */
export interface PartitionReport {
  readonly topic: string;
  readonly partition: number;
  /** The group's committed offset; null before its first commit. */
  readonly committed: number | null;
  /** The offset of the next record to be written. */
  readonly latest: number;
  /** Records that are not stored yet. */
  readonly lag: number;
  readonly failures: number;
  readonly lastError: string | null;
}

export interface SourcePorts {
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
}

const AHEAD_OF_PARTITION =
  'The partition ends before the offset that its group has committed. This happens if the topic was deleted and created again. Set the position by POST /v1/admin/kafka/seek with {"topic", "partition", "to": "earliest"}; events that are already stored are recognised as duplicates.';

/** The offset at which reading begins: the group's committed offset, or the oldest record. */
export async function beginningOf(ports: Pick<SourcePorts, 'committed' | 'earliest'>): Promise<number> {
  return (await ports.committed()) ?? (await ports.earliest());
}

/**
 * One step of a partition: it reads, stores, relays, and then commits the group's offset. A crash in between repeats the
 * step, and the database recognises the stored events by source and id. The step does not read ahead, so the history
 * keeps the partition's order.
 *
 * @param failures the number of failed steps in a row before this one.
 * @returns the offset to read next, and the number of records that were read.
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
