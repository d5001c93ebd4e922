import { varyOn } from '../cache/cache-key.ts';
import type { Variant } from '../define/vary.ts';
import type { ViewDefinition } from '../define/view.ts';

/** The dimensions of a view, prepared for its requests. */
export interface Variants {
  /** The members of `Vary` in addition to those of every cached answer; empty if the view declares no dimensions. */
  readonly headers: readonly string[];
  /** The dimensions of one request. Undeclared headers are not read, so they cannot split the cache. */
  of(request: Request): Variant;
}

/** @throws RangeError at load, for a view that declares too many dimensions. */
export function variantsOf({ name, vary }: Pick<ViewDefinition, 'name' | 'vary'>): Variants {
  const dimensions = Object.entries(vary);
  const declared = Object.keys(vary);
  varyOn(declared, {});
  return {
    headers: [...new Set(dimensions.map(([, { header }]) => header))],
    of: ({ headers }) => {
      const offered = dimensions.map(([dimension, { header, values, choose }]) => {
        const value = choose(headers.get(header));
        if (!values.includes(value))
          throw new TypeError(
            `The view "${name}" has "${value}" for ${dimension}, which it does not declare.`,
          );
        return [dimension, value];
      });
      return varyOn(declared, Object.fromEntries(offered));
    },
  };
}
