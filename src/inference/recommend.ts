import type { ModelDefinition } from '../catalog/define/model.ts';
import type { Loaded } from '../catalog/define/view.ts';
import { featureTag } from '../features/shards.ts';
import { readFeatures, type ShardPort } from '../features/store.ts';
import type { LoadedModel } from './loaded-models.ts';
import { rank } from './rank.ts';
import { modelTag } from './registry.ts';

export interface RecommendPorts {
  readonly champion: () => Promise<LoadedModel>;
  readonly shards: ShardPort;
  readonly now: () => number;
}

/** What to recommend to one entity. The answer depends on its features and on the model that answers. */
export async function recommend(
  definition: ModelDefinition,
  key: string,
  limit: number,
  ports: RecommendPorts,
): Promise<Loaded> {
  const entity = definition.entity.name;
  const now = ports.now();
  const [model, features] = await Promise.all([
    ports.champion(),
    readFeatures(entity, [key], now, ports.shards),
  ]);
  const { items, source, degraded } = await rank(model, features[0] ?? {}, undefined, limit, now);
  const { name, version } = model.manifest;
  return {
    value: {
      [entity]: key,
      items,
      model: { name, version },
      source,
      ...(degraded === undefined ? {} : { degraded }),
    },
    tags: [featureTag(entity, key), modelTag(definition.name)],
    storable: degraded === undefined,
  };
}
