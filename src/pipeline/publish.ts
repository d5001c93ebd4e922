import type { ChangesMessage } from '../../queues/changes/message.ts';
import { isRowChange } from '../define/row-change.ts';
import type { ClockMoment } from '../define/view.ts';
import type { ChangedEvent, PendingChange, RelayedChange } from '../storage/postgres/outbox.ts';
import { type Outlet, sendChunked } from '../storage/queue.ts';
import { entitiesOf, type FeedChange, ROW_WRITTEN } from './feed/change.ts';

interface Published {
  readonly event: ChangedEvent | null;
  /** Undefined for an event that is only folded. */
  readonly feedChange: FeedChange | undefined;
}

/**
 * Enqueues changes that were invalidated at the moment `at`, and returns once the `changes` queue has all of them.
 *
 * @param entities the names of the catalog's entities.
 * @throws Failure `queue_unavailable`; then some may be in the queue. Consumers are idempotent.
 */
export async function publishChanges(
  queue: Outlet<ChangesMessage>,
  changes: readonly Omit<PendingChange, 'lane'>[],
  at: ClockMoment,
  entities: ReadonlySet<string>,
): Promise<void> {
  const token = tokenOf(at);
  const items = changes.map(({ outboxId, tags, event: changed, trace }): Published => {
    const event = changed === null || trace === undefined ? changed : { ...changed, trace };
    const change = { change: outboxId, entities: entitiesOf(tags, entities), token };
    // The feed has the change of the row itself already.
    if (event !== null && isRowChange(event.type)) return { event, feedChange: undefined };
    if (event === null) return { event, feedChange: { ...change, type: ROW_WRITTEN } };
    return { event, feedChange: { ...change, type: event.type, time: timeOf(event) } };
  });
  await send(queue, items);
}

/**
 * Enqueues events of the history again, with the changes that they made, and returns once the `changes` queue has all
 * of them. A change keeps its number, so that consumers recognise the duplicate.
 *
 * @param relayed changes by the number of their event. An event whose outbox row is pruned or pending has none.
 * @param at a moment after all their invalidations.
 * @throws Failure `queue_unavailable`; then some may be in the queue. Consumers are idempotent.
 */
export async function publishAgain(
  queue: Outlet<ChangesMessage>,
  events: readonly ChangedEvent[],
  relayed: ReadonlyMap<number, RelayedChange>,
  at: ClockMoment,
  entities: ReadonlySet<string>,
): Promise<void> {
  const token = tokenOf(at);
  const items = events.map((event): Published => {
    const known = relayed.get(event.seq);
    if (known === undefined || isRowChange(event.type)) return { event, feedChange: undefined };
    const { outboxId, tags, type } = known;
    const change = { change: outboxId, type, time: timeOf(event), entities: entitiesOf(tags, entities) };
    return { event, feedChange: { ...change, replayed: true, token } };
  });
  await send(queue, items);
}

async function send(queue: Outlet<ChangesMessage>, items: readonly Published[]): Promise<void> {
  await sendChunked(
    queue,
    items,
    (chunk): ChangesMessage => ({
      v: 1,
      events: chunk.flatMap(({ event }) => (event === null ? [] : [event])),
      changes: chunk.flatMap(({ feedChange }) => (feedChange === undefined ? [] : [feedChange])),
    }),
  );
}

function tokenOf({ epoch, seq }: ClockMoment): string {
  return `${epoch}.${seq}`;
}

function timeOf({ occurredAt }: ChangedEvent): string {
  return new Date(occurredAt).toISOString();
}
