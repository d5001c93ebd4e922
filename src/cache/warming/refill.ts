import type { Loaded, ViewDefinition } from '../../define/view.ts';
import type { ReadRequest } from '../read-through.ts';
import type { Recipe } from './demand.ts';

/** The read request of a warm fill. It accepts no stale entry, so an invalid or expired one is read from the origin. */
export function refillRead(
  view: ViewDefinition,
  { key, purgeKey = key, input, variant = {} }: Recipe,
  load: (view: ViewDefinition, input: unknown, variant: Readonly<Record<string, string>>) => Promise<Loaded>,
): ReadRequest {
  return {
    view: view.name,
    key,
    purgeKey,
    policy: { ...view.policy, staleWhileRevalidateS: 0, beta: 0 },
    consistency: { level: 'bounded', atLeast: undefined },
    load: () => load(view, input, variant),
  };
}
