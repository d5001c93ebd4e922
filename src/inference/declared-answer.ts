import type { ModelDefinition } from '../define/model.ts';
import type { Loaded } from '../define/view.ts';
import { fallbackOf } from './answer.ts';

/**
 * The answer that the catalog declares for a model, for a request that has no time to find out anything else; undefined
 * without one.
 */
export function declaredAnswer(
  definition: ModelDefinition,
  { key, limit }: { readonly key: string; readonly limit: unknown },
  predictionId: string,
): Pick<Loaded, 'value'> | undefined {
  const { name } = definition;
  const made = {
    model: { name, version: null },
    ...{ predictionId, source: 'fallback', degraded: 'deadline_exceeded' },
  };
  if (definition.task !== 'ranking') {
    const fallback = fallbackOf(definition, null);
    return fallback && { value: { key, ...fallback, ...made } };
  }
  const items = definition.fallback?.slice(0, Number(limit)).map((item) => ({ item, score: 0 }));
  return items && { value: { [definition.entity.name]: key, items, ...made } };
}
