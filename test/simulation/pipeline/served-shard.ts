import { FeatureShard } from '../../../durable-objects/feature-shard/object.ts';

const RUN = '00000000-0000-4000-8000-000000000000';

/**
 * A shard of an entity. A new one serves its features, as after the backfill of an empty history. Backfills have a
 * simulation of their own in `test/simulation/features`.
 */
export function servedShard(
  name: string,
  storage: DurableObjectStorage,
  ports: ConstructorParameters<typeof FeatureShard>[2],
  isNew: boolean,
): FeatureShard {
  const shard = new FeatureShard({ storage } as unknown as DurableObjectState, {} as never, ports);
  if (!isNew) return shard;
  const entity = name.slice(0, name.lastIndexOf('/'));
  const features = ports?.features.filter((definition) => definition.entity.name === entity) ?? [];
  // Both change the storage before they return: nothing here waits.
  void shard.openBackfill(entity, RUN);
  void shard.serveFilled(
    entity,
    RUN,
    features.map((definition) => definition.name),
  );
  return shard;
}
