import type { Variant } from '../define/vary.ts';
import type { ViewDefinition } from '../define/view.ts';

/**
 * Dimensions of a view's cache key in addition to the variants: the principal, the owner of the rows, and the length of the
 * grain, so that a deployment that changes the length finds no entry of the old one.
 *
 * @returns a function of the principal, as `principalKey` writes it, and of the owner; undefined for what does not count.
 */
export function ownDimensionsOf({
  grainMs,
  rows,
}: Pick<ViewDefinition, 'grainMs' | 'rows'>): (
  principal: string | undefined,
  owner: string | null | undefined,
) => Variant | undefined {
  const grain = grainMs === undefined ? undefined : { '@grain': String(grainMs) };
  return (principal, owner) => {
    if (principal === undefined && owner === undefined) return grain;
    return {
      ...grain,
      ...(principal === undefined ? {} : { '@principal': principal }),
      // As JSON: the owner "null" is not all owners. With the claim: a deployment that limits the rows by another claim
      // finds no entry of the old one.
      ...(owner === undefined ? {} : { '@owner': JSON.stringify([rows?.claim, owner]) }),
    };
  };
}
