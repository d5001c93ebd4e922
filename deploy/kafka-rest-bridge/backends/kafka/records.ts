import type { Consumer, RecordsBatch } from '@platformatic/kafka';
import type { Message, Position } from '../../messages.ts';
import { messageOf } from '../../received.ts';

export type FetchResponse = Awaited<ReturnType<Consumer['fetch']>>;
type FetchedPartition = FetchResponse['responses'][number]['partitions'][number];

/** Bits of a batch's attributes (KIP-98 and KIP-32). */
const IS_LOG_APPEND_TIME = 0x08;
const IS_TRANSACTIONAL = 0x10;
const IS_CONTROL = 0x20;
/** A control record's key is a version and a type, each an int16; this type marks an abort. */
const CONTROL_TYPE_ABORT = 0;

/**
 * The messages of a fetched partition from an offset on, and the offset after the last record that was read. Control
 * records and the messages of aborted transactions are left out. They are identified as in Kafka's own consumer, by
 * iterating over the broker's list of aborted transactions.
 */
export function readPartition(
  from: Position,
  fetched: FetchedPartition,
): { messages: Message[]; next: number } {
  const pending = [...(fetched.abortedTransactions ?? [])].sort((a, b) =>
    Number(a.firstOffset - b.firstOffset),
  );
  const aborting = new Set<bigint>();
  const messages: Message[] = [];
  let next = from.offset;
  for (const batch of fetched.records ?? []) {
    const lastOffset = batch.firstOffset + BigInt(batch.lastOffsetDelta);
    for (let first = pending[0]; first !== undefined && first.firstOffset <= lastOffset; first = pending[0]) {
      aborting.add(first.producerId);
      pending.shift();
    }
    next = Math.max(next, Number(lastOffset) + 1);
    if (batch.attributes & IS_CONTROL) {
      if (batch.records[0]?.key?.readInt16BE(2) === CONTROL_TYPE_ABORT) aborting.delete(batch.producerId);
    } else if (!(batch.attributes & IS_TRANSACTIONAL && aborting.has(batch.producerId))) {
      messages.push(...batchMessages(from, batch));
    }
  }
  return { messages, next };
}

/** A batch is stored as a unit, so it may begin before the requested offset. */
function batchMessages({ topic, partition, offset: from }: Position, batch: RecordsBatch): Message[] {
  const isAppendTime = (batch.attributes & IS_LOG_APPEND_TIME) !== 0;
  return batch.records.flatMap((record) => {
    const offset = Number(batch.firstOffset) + record.offsetDelta;
    if (offset < from) return [];
    const timestamp = Number(
      isAppendTime ? batch.maxTimestamp : batch.firstTimestamp + record.timestampDelta,
    );
    return [messageOf({ topic, partition, offset, timestamp }, record)];
  });
}
