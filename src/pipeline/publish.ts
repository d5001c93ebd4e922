import type { ChangesMessage } from '../../queues/changes/message.ts';
import type { ClockMoment } from '../catalog/define/view.ts';
import type { ChangedEvent, PendingChange } from '../storage/postgres/outbox.ts';
import { sendChunked } from '../storage/queue.ts';
import { entitiesOf, type FeedChange, ROW_WRITTEN } from './feed/change.ts';

interface Published {
  readonly event: ChangedEvent | null;
  readonly told: FeedChange;
}

/**
 * Hands changes that were invalidated at the moment `at` to the `changes` queue, and returns once it has all of them.
 *
 * @param entities the names of the catalog's entities.
 * @throws Failure `queue_unavailable`; then some may have been taken. Consumers are idempotent.
 */
export async function publishChanges(
  queue: Queue<ChangesMessage>,
  changes: readonly PendingChange[],
  at: ClockMoment,
  entities: ReadonlySet<string>,
): Promise<void> {
  const token = `${at.epoch}.${at.seq}`;
  const items = changes.map(({ outboxId, tags, event }): Published => {
    const told = { change: outboxId, entities: entitiesOf(tags, entities), token };
    if (event === null) return { event, told: { ...told, type: ROW_WRITTEN } };
    const time = new Date(event.occurredAt).toISOString();
    return { event, told: { ...told, type: event.type, time } };
  });
  await sendChunked(
    queue,
    items,
    (chunk): ChangesMessage => ({
      v: 1,
      events: chunk.flatMap(({ event }) => (event === null ? [] : [event])),
      changes: chunk.map(({ told }) => told),
    }),
  );
}
