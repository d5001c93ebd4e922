import { catalog } from '../../src/catalog/index.ts';
import { foldEvents } from '../../src/features/store.ts';
import { asCurrent } from '../../src/pipeline/contracts/versions.ts';
import { foldObserved } from '../../src/pipeline/lineage/observed.ts';
import type { Services } from '../../src/services.ts';
import { handleBatch } from '../batch.ts';
import { ChangesMessage } from './message.ts';

/** Folds stored events into the feature shards, then invalidates what was made from those features. */
export async function consumeChanges(batch: MessageBatch, services: Services): Promise<void> {
  await handleBatch(batch, ChangesMessage, async (messages) => {
    // What was stored before its type had a newer version counts as that one.
    const events = messages.flatMap((message) =>
      message.events.map((one) => asCurrent(catalog.eventTypes, one)),
    );
    const fold = () => foldEvents(catalog.features, events, services.shards);
    const tags = await foldObserved(events, fold, services.tellLineage);
    if (tags.length > 0) await services.invalidate(tags);
  });
}
