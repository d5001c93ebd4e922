import type { EventDefinition } from '../../define/event.ts';

/** Moments in milliseconds since the Unix epoch. */
export interface AnnouncedEnd {
  readonly since: number;
  readonly sunset: number | undefined;
}

/** The announced end of the versions of some events: the earliest date of each kind. */
export function announcedEnd(
  types: ReadonlyMap<string, EventDefinition>,
  raw: readonly unknown[],
): AnnouncedEnd | undefined {
  const announced = [...new Set(raw.map(typeOf))].flatMap((type) => types.get(type)?.deprecated ?? []);
  if (announced.length === 0) return undefined;
  const sunsets = announced.flatMap(({ sunset }) => (sunset === undefined ? [] : [Date.parse(sunset)]));
  return {
    since: Math.min(...announced.map(({ since }) => Date.parse(since))),
    sunset: sunsets.length === 0 ? undefined : Math.min(...sunsets),
  };
}

function typeOf(event: unknown): string {
  const type: unknown = typeof event === 'object' && event !== null ? Reflect.get(event, 'type') : undefined;
  return typeof type === 'string' ? type : '';
}
