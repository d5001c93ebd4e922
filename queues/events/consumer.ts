import { sql } from 'drizzle-orm';
import type { Services } from '../../src/composition/services.ts';
import { log } from '../../src/platform/logger.ts';
import { handleBatch } from '../batch.ts';
import { EventsMessage, halvesOfEvents } from './message.ts';

/** Stores events and has them relayed at once. */
export async function consumeEvents(batch: MessageBatch, services: Services): Promise<void> {
  await handleBatch(batch, services, {
    schema: EventsMessage,
    handle: services.storePatiently,
    halves: halvesOfEvents,
    probe: ({ db }) => db.execute(sql`select 1`),
    finish: () => relay(services),
    queue: services.env.EVENTS,
  });
}

/** What is stored stands in the outbox, so a relay that fails now holds no message back, once it is sure to try again. */
async function relay(services: Services): Promise<void> {
  try {
    await services.relay().sweep();
  } catch (error) {
    log('warn', 'Stored events are relayed later.', { 'event.action': 'queue' }, error);
    await services.armRelay();
  }
}
