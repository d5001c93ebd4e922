import type { Services } from '../../src/composition/services.ts';
import { shardsOf } from '../../src/features/shards.ts';
import { foldEvents } from '../../src/features/store.ts';
import { asCurrent } from '../../src/pipeline/contracts/versions.ts';
import { foldObserved } from '../../src/pipeline/lineage/observed.ts';
import { handleBatch } from '../batch.ts';
import { ChangesMessage, halvesOfChanges } from './message.ts';

/**
 * Folds stored events into the feature shards, then invalidates what was made from those features. The feed is told
 * beside it, and the queue of the Kafka sink: none waits for another, and what failed of one comes again for all,
 * which changes nothing twice but for records in Kafka, which have an id.
 */
export async function consumeChanges(batch: MessageBatch, services: Services): Promise<void> {
  const { catalog } = services;
  await handleBatch(batch, services, {
    schema: ChangesMessage,
    handle: async (messages) => {
      // What was stored before its type had a newer version counts as that one.
      const events = messages.flatMap((message) =>
        message.events.map((one) => asCurrent(catalog.eventTypes, one)),
      );
      const fold = () => foldEvents(catalog.features, events, services.shards);
      const foldAndInvalidate = async () => {
        const tags = await foldObserved(events, fold, services.tellLineage);
        if (tags.length > 0) await services.invalidate(tags);
      };
      const changes = messages.flatMap((message) => message.changes);
      await all(foldAndInvalidate(), services.tellFeed(changes), services.sinkChanges(changes));
    },
    halves: halvesOfChanges,
    probe,
    queue: services.env.CHANGES,
  });
}

/** Waits for all, also where one fails. */
async function all(...work: readonly Promise<unknown>[]): Promise<void> {
  const failed = (await Promise.allSettled(work)).find(({ status }) => status === 'rejected');
  if (failed?.status === 'rejected') throw failed.reason;
}

/** Asks every shard to fold nothing, the clock for its moment, and tells the feed nothing. */
async function probe({ catalog, shards, newestToken, tellFeed }: Services): Promise<void> {
  const entities = new Set(catalog.features.map(({ entity }) => entity.name));
  await Promise.all([
    newestToken(),
    tellFeed([]),
    ...[...entities].flatMap((entity) => shardsOf(entity).map((shard) => shards.fold(shard, entity, []))),
  ]);
}
