import { catalog } from '../../src/catalog/index.ts';
import { storeMessages } from '../../src/pipeline/store.ts';
import { sha256Hex } from '../../src/platform/digest.ts';
import { newId } from '../../src/platform/ids.ts';
import type { Services } from '../../src/services.ts';
import { classifyFault } from '../../src/storage/postgres/connect.ts';
import { storeEvents } from '../../src/storage/postgres/event-store.ts';
import { keepRefused } from '../../src/storage/postgres/quarantine.ts';
import { handleBatch } from '../batch.ts';
import { EventsMessage } from './message.ts';

/** Stores events and has them relayed at once. */
export async function consumeEvents(batch: MessageBatch, services: Services): Promise<void> {
  const { db } = services;
  await handleBatch(batch, EventsMessage, async (messages) => {
    await storeMessages(messages, {
      types: catalog.eventTypes,
      storeEvents: (events) => storeEvents(db, events, newId()),
      keepRefused: (refused) => keepRefused(db, refused),
      classifyFault,
      fingerprint: sha256Hex,
    });
    await services.relay().sweep();
  });
}
