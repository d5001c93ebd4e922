import type { EventDefinition } from '../define/event.ts';
import { currentContent } from './contracts/versions.ts';

/** What identifies an event (CloudEvents 1.0.2, "source" and "id"), as one text. */
export function identityOf({ source, id }: { readonly source: string; readonly id: string }): string {
  return JSON.stringify([source, id]);
}

/**
 * 53 bits of a source and id: two 32-bit multiplicative hashes with different multipliers. Among a million
 * hashes, an event that was never sent matches one with a probability of 1 in 10^10.
 */
export function identityHash(source: string, id: string): number {
  let low = 0x811c9dc5;
  let high = 0x9e3779b9;
  for (const part of [source, '\n', id]) {
    for (let index = 0; index < part.length; index += 1) {
      const unit = part.charCodeAt(index);
      low = Math.imul(low ^ unit, 0x01000193);
      high = Math.imul((high << 13) ^ (high >>> 19) ^ unit, 0x2c1b3c6d);
    }
  }
  high = Math.imul(high ^ (high >>> 15), 0x297a2d39);
  low = Math.imul(low ^ (low >>> 16), 0x45d9f3b5) ^ high;
  return (high >>> 11) * 0x1_0000_0000 + (low >>> 0);
}

/** The hashes of events that may not have been judged. Those without a source and an id are left out. */
export function identityHashes(events: readonly unknown[]): number[] {
  return events.flatMap((event) => {
    if (typeof event !== 'object' || event === null) return [];
    const [source, id]: unknown[] = [Reflect.get(event, 'source'), Reflect.get(event, 'id')];
    return typeof source === 'string' && typeof id === 'string' ? [identityHash(source, id)] : [];
  });
}

export interface Distinct<Event> {
  /** The first of each identity, in their order. */
  readonly first: readonly Event[];
  /** Later events with the content of the first. */
  readonly duplicates: readonly Event[];
  /** Later events with other content. */
  readonly conflicts: readonly Event[];
}

interface Said {
  readonly type: string;
  readonly sentAs?: string;
  readonly data: unknown;
}

/**
 * Groups the events of one call by identity. The time does not count, because it may be the time of arrival. Events
 * that were sent in different versions are compared as the current contract reads them.
 */
export function distinct<Event extends Said & { readonly source: string; readonly id: string }>(
  events: readonly Event[],
  types: ReadonlyMap<string, EventDefinition>,
): Distinct<Event> {
  const first = new Map<string, Event>();
  const duplicates: Event[] = [];
  const conflicts: Event[] = [];
  for (const event of events) {
    const identity = identityOf(event);
    const known = first.get(identity);
    if (known === undefined) first.set(identity, event);
    else if (contentOf(known) === contentOf(event) || sameInOtherVersions(known, event, types))
      duplicates.push(event);
    else conflicts.push(event);
  }
  return { first: [...first.values()], duplicates, conflicts };
}

function sameInOtherVersions(a: Said, b: Said, types: ReadonlyMap<string, EventDefinition>): boolean {
  return a.sentAs !== b.sentAs && saysTheSame(a, b, types);
}

/** Whether the current contract reads the same content in two events of any versions. */
export function saysTheSame(
  a: Pick<Said, 'type' | 'data'>,
  b: Pick<Said, 'type' | 'data'>,
  types: ReadonlyMap<string, EventDefinition>,
): boolean {
  return contentOf(currentContent(types, a)) === contentOf(currentContent(types, b));
}

function contentOf({ type, data }: { type: string; data: unknown }): string {
  return JSON.stringify([type, sorted(data)]);
}

/** Sorts members, because the order of an object's members has no meaning. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, member]) => [name, sorted(member)]),
  );
}
