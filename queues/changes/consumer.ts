import type { FoldableEvent } from '../../src/features/fold.ts';
import type { FeedChange } from '../../src/pipeline/feed/change.ts';
import { type BatchPorts, handleBatch } from '../batch.ts';
import { ChangesMessage, halvesOfChanges } from './message.ts';

export interface ChangesPorts extends BatchPorts<ChangesMessage> {
  /** Folds events into the feature shards and invalidates what depends on the features. Safe to repeat. */
  readonly fold: (events: readonly FoldableEvent[]) => Promise<unknown>;
  /** Returns once the feed has the changes on disk. */
  readonly appendToFeed: (changes: readonly FeedChange[]) => Promise<void>;
  /** Enqueues changes for Kafka, where a topic is configured. */
  readonly enqueueForKafka: (changes: readonly FeedChange[]) => Promise<void>;
}

/**
 * Folds stored events into the feature shards, then invalidates the answers that depend on those features. Meanwhile
 * it appends the changes to the live feed and enqueues them for Kafka. Where one of the three fails, the message is
 * retried for all of them: folds and the feed ignore duplicates, and records in Kafka carry an id.
 */
export async function consumeChanges(batch: MessageBatch, ports: ChangesPorts): Promise<void> {
  const handle = async (messages: readonly ChangesMessage[]) => {
    const events = messages.flatMap((message) => message.events);
    const changes = messages.flatMap((message) => message.changes);
    await all(ports.fold(events), ports.appendToFeed(changes), ports.enqueueForKafka(changes));
  };
  await handleBatch(batch, { schema: ChangesMessage, handle, halves: halvesOfChanges }, ports);
}

/** Waits for all, even where one fails; then fails with the first error. */
async function all(...work: readonly Promise<unknown>[]): Promise<void> {
  const failed = (await Promise.allSettled(work)).find(({ status }) => status === 'rejected');
  if (failed?.status === 'rejected') throw failed.reason;
}
