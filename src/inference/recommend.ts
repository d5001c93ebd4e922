import type { RankingModel } from '../define/model.ts';
import type { Loaded } from '../define/view.ts';
import { answerTags } from '../features/groups.ts';
import type { LineageFacts } from '../pipeline/lineage/recorder.ts';
import { featuresPart } from './explain/include.ts';
import type { ServedDraft } from './feedback/record.ts';
import { exploringSeed } from './feedback/sampling.ts';
import { modelTag } from './names.ts';
import { isBySwitch } from './phase.ts';
import { predictionFacts } from './prediction.ts';
import { type RankingRequest, type RankPorts, rankInTime } from './rank-in-time.ts';
import { featuresOf, usedFeatures } from './row.ts';

export interface RecommendPorts extends RankPorts {
  readonly newId: () => string;
  /** Records the recommendation for its lineage, without waiting and without failing. */
  readonly predicted: (facts: LineageFacts) => void;
  /** Takes what the log of served predictions has of an answer. */
  readonly drafted?: ((draft: ServedDraft) => void) | undefined;
}

export interface RecommendRequest extends Omit<RankingRequest, 'exploring'> {
  /** Whether a share of the answers explores, as the model declares it. */
  readonly explores?: boolean;
}

/**
 * Ranks items for one entity, the given ones or its candidates. The answer depends on its features and on the champion. A
 * degraded one must not be stored.
 *
 * @throws as `rankInTime` does.
 */
export async function recommend(
  definition: RankingModel,
  asked: RecommendRequest,
  ports: RecommendPorts,
): Promise<Loaded> {
  const { key, now, include, explores = false } = asked;
  const entity = definition.entity.name;
  const predictionId = ports.newId();
  const { exploration } = definition;
  const seed = explores && exploration !== undefined ? exploringSeed(exploration, predictionId) : undefined;
  const exploring =
    seed === undefined || exploration === undefined ? undefined : { seed, pool: exploration.pool };
  const { ranking, manifest, row, isCurrent } = await rankInTime(definition, { ...asked, exploring }, ports);
  const { items, source, drawnFrom, reason } = ranking;
  const degraded = ranking.degraded ?? (isCurrent ? undefined : 'model_unverified');
  // Popularity by features that give the model nothing to rank by is made of them; in place of the model it is not.
  const isOfFeatures = source === 'model' || source === 'previous' || ranking.degraded === undefined;
  if (manifest !== null) {
    const subject = { entity, key, features: row };
    const outcome = { items: items.length, source, degraded };
    ports.predicted(predictionFacts({ id: predictionId, at: now, manifest, subject, outcome }));
  }
  ports.drafted?.({
    ...{ id: predictionId, at: now, model: definition.name, version: manifest?.version ?? null, entity, key },
    ...{ source, degraded: degraded ?? null, items, answer: null, input: null },
    explored: drawnFrom === undefined ? null : { pool: drawnFrom },
    features: isOfFeatures ? usedFeatures(definition, row) : undefined,
  });
  return {
    value: {
      [entity]: key,
      items,
      model: { name: definition.name, version: manifest?.version ?? null },
      predictionId,
      source,
      ...(reason === undefined ? {} : { reason }),
      ...(drawnFrom === undefined ? {} : { explored: true }),
      ...(degraded === undefined ? {} : { degraded }),
      ...(include.includes('features')
        ? featuresPart(isOfFeatures ? usedFeatures(definition, row) : undefined, now)
        : {}),
    },
    tags: [...answerTags(entity, key, featuresOf(definition)), modelTag(definition.name)],
    storable: degraded === undefined,
    // A stale answer is no better than that of a version which may have been replaced.
    isDegraded: ranking.degraded !== undefined && !isBySwitch(ranking.degraded),
  };
}
