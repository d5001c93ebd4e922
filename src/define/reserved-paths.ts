/**
 * The paths of the product's own routes. No view, ranking or write may use them. An architecture test checks that the
 * list is complete.
 */
export const RESERVED_PATHS = [
  '/v1/admin',
  '/v1/changes',
  '/v1/events',
  '/v1/features',
  '/v1/gates',
  '/v1/impact',
  '/v1/inventory',
  '/v1/lineage',
  '/v1/models',
  '/v1/predictions',
  '/v1/quality',
  '/v1/tickets',
  '/v1/training',
] as const;

/** A view, or a model, which may have no path. */
interface Routed {
  readonly path?: string | undefined;
}

/**
 * Orders the more specific path first, segment by segment from the left, so that a router that takes the first match
 * reaches `/stations/search` before `/stations/{id}`.
 */
export function bySpecificity(a: Routed, b: Routed): number {
  const [left, right] = [(a.path ?? '').split('/'), (b.path ?? '').split('/')];
  if (left.length !== right.length) return left.length - right.length;
  for (const [index, segment] of left.entries()) {
    const isParameter = segment.startsWith('{');
    const isOtherParameter = right[index]?.startsWith('{') ?? false;
    if (isParameter !== isOtherParameter) return isParameter ? 1 : -1;
  }
  return 0;
}
