import type { RankingModel } from '../define/model.ts';
import type { Loaded } from '../define/view.ts';
import { featureTag, readFeatures, readyTag, type ShardPort } from '../features/shards.ts';
import type { LineageFacts } from '../pipeline/lineage/recorder.ts';
import type { LoadedRanking } from './loaded-models.ts';
import { predictionFacts } from './prediction.ts';
import { rank } from './rank.ts';
import { modelTag } from './registry.ts';

export interface RecommendPorts {
  /** The champion, and whether it is known to be it now: otherwise the answer must not be stored. */
  readonly champion: () => Promise<{ readonly model: LoadedRanking; readonly isCurrent: boolean }>;
  readonly shards: Pick<ShardPort, 'read'>;
  readonly now: () => number;
  readonly newId: () => string;
  /** Records the recommendation for its lineage, without waiting and without failing. */
  readonly predicted: (facts: LineageFacts) => void;
}

/** Recommends items to one entity. The answer depends on its features and on the champion. */
export async function recommend(
  definition: RankingModel,
  key: string,
  limit: number,
  ports: RecommendPorts,
): Promise<Loaded> {
  const entity = definition.entity.name;
  const now = ports.now();
  const [{ model, isCurrent }, features] = await Promise.all([
    ports.champion(),
    readFeatures(entity, [key], now, ports.shards),
  ]);
  const row = features[0] ?? {};
  const ranking = await rank(definition, model, row, undefined, limit, now);
  const { items, source, degraded } = ranking;
  const { name, version } = model.manifest;
  const predictionId = ports.newId();
  ports.predicted(
    predictionFacts({
      id: predictionId,
      at: now,
      manifest: model.manifest,
      subject: { entity, key, features: row },
      outcome: { items: items.length, source, degraded },
    }),
  );
  return {
    value: {
      [entity]: key,
      items,
      model: { name, version },
      predictionId,
      source,
      ...(degraded === undefined ? {} : { degraded }),
    },
    tags: [featureTag(entity, key), readyTag(entity), modelTag(definition.name)],
    storable: degraded === undefined && isCurrent,
  };
}
