/**
 * Tags that every stored answer depends on beside its own, so that a purge is an ordinary invalidation: the tag of all
 * answers, that of its view, and that of its key without the variant.
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
