import type { Services } from '../../src/services.ts';
import { handleBatch } from '../batch.ts';
import { EventsMessage } from './message.ts';

/** Stores events and has them relayed at once. */
export async function consumeEvents(batch: MessageBatch, services: Services): Promise<void> {
  await handleBatch(batch, EventsMessage, async (messages) => {
    await services.store(messages);
    await services.relay().sweep();
  });
}
