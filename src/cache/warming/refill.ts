import type { Loaded, ViewDefinition, ViewRequest } from '../../define/view.ts';
import type { ReadRequest } from '../read-through.ts';
import type { Recipe } from './demand.ts';

/** The read request of a warm fill. It accepts no stale entry, so an invalid or expired one is read from the origin. */
export function refillRead(
  view: ViewDefinition,
  { key, purgeKey = key, input, variant = {}, principal, owner }: Recipe,
  load: (view: ViewDefinition, request: ViewRequest, now: number) => Promise<Loaded>,
): ReadRequest {
  return {
    view: view.name,
    key,
    purgeKey,
    policy: { ...view.policy, staleWhileRevalidateS: 0, beta: 0, refreshAhead: 0 },
    consistency: { level: 'bounded', atLeast: undefined },
    grainMs: view.grainMs,
    load: (now) => load(view, { input, variant, principal, owner }, now),
  };
}
