import type { EventDefinition } from '../../define/event.ts';

type EventTypes = ReadonlyMap<string, EventDefinition>;
interface Typed {
  readonly type: string;
  readonly data: unknown;
}

/** `bikes.ride.v1`: the name, then the version. */
const VERSIONED_TYPE = /^(?<name>.+)\.v\d+$/;

/** Why events of a type are refused: code, pointer and detail. */
export function unknownType(
  types: EventTypes,
  type: string,
): ['unknown_event_type' | 'unknown_event_version', pointer: string, detail: string] {
  const name = VERSIONED_TYPE.exec(type)?.groups?.['name'] ?? type;
  const known = [...types.values()].filter((definition) => definition.name === name);
  if (known.length === 0)
    return ['unknown_event_type', '/type', `No event type "${type}" is declared; see /v1/events/types.`];
  const names = known
    .sort((a, b) => a.version - b.version)
    .map((definition) => definition.type)
    .join(', ');
  const said = name === type ? 'names no version' : 'is not an accepted version';
  return [
    'unknown_event_version',
    '/type',
    `"${type}" ${said}; the accepted versions are: ${names}. See /v1/events/types.`,
  ];
}

/**
 * Converts an event to the current version of its type: history and queues may contain events from before that version
 * existed. An event that no declared version can read is returned unchanged.
 */
export function asCurrent<Event extends Typed>(types: EventTypes, event: Event): Event {
  const definition = types.get(event.type);
  if (definition === undefined || definition.currentType === event.type) return event;
  const upcast = definition.toCurrent(event.data);
  return upcast.ok ? { ...event, type: definition.currentType, data: upcast.data } : event;
}

/** These types and their earlier versions: events that were stored under them belong to the same history. */
export function withEarlierVersions(types: EventTypes, wanted: readonly string[]): string[] {
  return wanted.flatMap((type) => [type, ...(types.get(type)?.earlier ?? []).map((earlier) => earlier.type)]);
}

/**
 * The content by which events of different versions are compared: as the current contract reads it, with its
 * defaults, because one version may contain a value that another leaves to the default.
 */
export function currentContent(types: EventTypes, event: Typed): Typed {
  const { type, data } = asCurrent(types, event);
  return { type, data: types.get(type)?.parse(data) ?? data };
}

/** Moments in milliseconds since the Unix epoch. */
export interface AnnouncedEnd {
  readonly since: number;
  readonly sunset: number | undefined;
}

/** The deprecated types of some events, each once. */
export function deprecatedTypes(types: EventTypes, raw: readonly unknown[]): string[] {
  return [...new Set(raw.map(typeOf))].filter((type) => types.get(type)?.deprecated !== undefined);
}

/** The announced end of the versions of some events: the earliest date of each kind. */
export function announcedEnd(types: EventTypes, raw: readonly unknown[]): AnnouncedEnd | undefined {
  const announced = deprecatedTypes(types, raw).flatMap((type) => types.get(type)?.deprecated ?? []);
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
