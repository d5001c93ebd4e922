import { catalog } from '../../src/catalog/index.ts';
import { shardsOf } from '../../src/features/shards.ts';
import { foldEvents } from '../../src/features/store.ts';
import { asCurrent } from '../../src/pipeline/contracts/versions.ts';
import { foldObserved } from '../../src/pipeline/lineage/observed.ts';
import type { Services } from '../../src/services.ts';
import { handleBatch } from '../batch.ts';
import { ChangesMessage, halvesOfChanges } from './message.ts';

/** Folds stored events into the feature shards, then invalidates what was made from those features. */
export async function consumeChanges(batch: MessageBatch, services: Services): Promise<void> {
  await handleBatch(batch, services, {
    schema: ChangesMessage,
    handle: async (messages) => {
      // What was stored before its type had a newer version counts as that one.
      const events = messages.flatMap((message) =>
        message.events.map((one) => asCurrent(catalog.eventTypes, one)),
      );
      const fold = () => foldEvents(catalog.features, events, services.shards);
      const tags = await foldObserved(events, fold, services.tellLineage);
      if (tags.length > 0) await services.invalidate(tags);
    },
    halves: halvesOfChanges,
    probe,
    queue: services.env.CHANGES,
  });
}

/** Asks every shard to fold nothing, and the clock for its moment. */
async function probe({ shards, newestToken }: Services): Promise<void> {
  const entities = new Set(catalog.features.map(({ entity }) => entity.name));
  await Promise.all([
    newestToken(),
    ...[...entities].flatMap((entity) => shardsOf(entity).map((shard) => shards.fold(shard, entity, []))),
  ]);
}
