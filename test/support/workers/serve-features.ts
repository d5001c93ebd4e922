import { env } from 'cloudflare:workers';
import type { CellStore } from '../../../durable-objects/feature-shard/store.ts';
import type { FeatureDefinition } from '../../../src/define/feature.ts';
import { shardsOf } from '../../../src/features/layout.ts';

const RUN = '00000000-0000-4000-8000-000000000000';

/** Serves all features that a store has adopted, as a backfill does at its end. */
export function serveFeatures(store: CellStore, features: readonly FeatureDefinition[]): void {
  store.openBackfill(RUN);
  store.serve(
    RUN,
    features.map(({ name }) => name),
  );
}

/** The same for all shards of an entity. */
export async function serveEntity(entity: string): Promise<void> {
  await Promise.all(
    shardsOf(entity).map(async (name) => {
      const shard = env.FEATURE_SHARD.getByName(name);
      await shard.serveFilled(entity, RUN, await shard.openBackfill(entity, RUN));
    }),
  );
}
