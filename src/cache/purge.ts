/**
 * What every stored answer depends on beside its own tags, so that purging is an invalidation like any other:
 * everything, its view, and its key without what it varies on.
 */
export function purgeTags(view: string, key: string): string[] {
  return [EVERYTHING, viewTag(view), keyTag(key)];
}

/** The tag of all stored answers. */
export const EVERYTHING = 'cache';

export function viewTag(view: string): string {
  return `cache:view:${view}`;
}

export function keyTag(key: string): string {
  return `cache:key:${key}`;
}
