import type { ModelDefinition } from '../define/model.ts';
import type { Loaded } from '../define/view.ts';
import { fallbackOf } from './answer.ts';
import { includedIn, partsOfNothing } from './explain/include.ts';

/**
 * The answer that the catalog declares for a model, for a request that has no time to find out anything else; undefined
 * without one.
 */
export function declaredAnswer(
  definition: ModelDefinition,
  { key, input }: { readonly key: string; readonly input: Readonly<Record<string, unknown>> },
  predictionId: string,
): Pick<Loaded, 'value'> | undefined {
  const { name } = definition;
  const degraded = 'deadline_exceeded';
  const made = {
    model: { name, version: null },
    ...{ predictionId, source: 'fallback', degraded },
    ...partsOfNothing(includedIn(input['include']), degraded),
  };
  if (definition.task !== 'ranking') {
    const fallback = fallbackOf(definition, null);
    return fallback && { value: { key, ...fallback, ...made } };
  }
  // No item is an answer too, so a ranking always has one.
  const declared = definition.fallback ?? [];
  const items = declared.slice(0, Number(input['limit'])).map((item) => ({ item, score: 0 }));
  return { value: { [definition.entity.name]: key, items, ...made } };
}
