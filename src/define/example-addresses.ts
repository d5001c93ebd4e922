/** Addresses of a catalog's routes, with their parameters filled in from the examples of its events. */
import * as z from 'zod';
import { type EntityDefinition, ownerKey } from './entity.ts';
import type { Effect, EventDefinition } from './event.ts';

/** A part of an entity's key that an example names. */
interface KnownKey {
  readonly entity: EntityDefinition;
  readonly property: string;
  readonly value: string;
}

/** The values that the examples of events give for parameters of paths. */
export interface ExampleValues {
  readonly keys: readonly KnownKey[];
  /** By the name of a property of an example's data. */
  readonly properties: ReadonlyMap<string, unknown>;
}

/** A route with its parameters: a view, or the route of a model. */
interface ParameterizedRoute {
  /** With parameters in braces. */
  readonly path: string;
  readonly params: z.ZodObject;
  readonly query: z.ZodObject;
}

/**
 * The values in the examples of these events. The first event that names a value counts.
 *
 * @param now milliseconds since the Unix epoch: the examples are interpreted as if they happened then.
 */
export function exampleValues(events: readonly EventDefinition[], now: number): ExampleValues {
  const keys: KnownKey[] = [];
  const properties = new Map<string, unknown>();
  for (const { example, interpret } of events) {
    for (const [name, value] of Object.entries(Object(example)))
      if (!properties.has(name)) properties.set(name, value);
    const meaning = interpret(example, { occurredAt: now, now });
    if (meaning.ok) keys.push(...meaning.effects.flatMap(keysIn));
  }
  return { keys, properties };
}

/** The keys in a row that an effect writes. */
function keysIn(effect: Effect): KnownKey[] {
  const named =
    effect.kind === 'append'
      ? effect.history.owners.map((owner) => ({ entity: owner.entity, values: ownerKey(owner, effect.row) }))
      : [{ entity: effect.entity, values: 'row' in effect ? effect.row : effect.key }];
  return named.flatMap(({ entity, values }) =>
    entity.key.columns.flatMap(({ property }): KnownKey[] => {
      const value = values?.[property];
      return value === undefined || value === null ? [] : [{ entity, property, value: String(value) }];
    }),
  );
}

/**
 * A key of the entity as a body takes it: the value of its one part, or an object of its parts. Undefined if the
 * examples do not name all parts.
 */
export function exampleKey(
  { key: { columns }, name }: EntityDefinition,
  { keys }: ExampleValues,
): string | Record<string, string> | undefined {
  const parts = columns.flatMap(({ property }) => {
    const known = keys.find((key) => key.entity.name === name && key.property === property);
    return known === undefined ? [] : [[property, known.value] as const];
  });
  const [only] = parts;
  if (only === undefined || parts.length < columns.length) return undefined;
  return columns.length === 1 ? only[1] : Object.fromEntries(parts);
}

/** The route's address with its parameters filled in; undefined if the examples have no value for one of them. */
export function exampleAddress(route: ParameterizedRoute, known: ExampleValues): string | undefined {
  const params = valuesOf(route.params, known, route.path);
  const query = valuesOf(route.query, known, route.path);
  if (params === undefined || query === undefined) return undefined;
  const path = route.path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(params[name] ?? ''),
  );
  const search = new URLSearchParams(query).toString();
  return search === '' ? path : `${path}?${search}`;
}

/** A text for each field that the schema requires; undefined where the examples have none that it takes. */
function valuesOf(
  schema: z.ZodObject,
  known: ExampleValues,
  path: string,
): Record<string, string> | undefined {
  const values: Record<string, string> = {};
  for (const [name, field] of Object.entries(schema.shape)) {
    if (z.safeParse(field, undefined).success) continue;
    const value = candidates(name, field, known, path).find((text) => z.safeParse(field, text).success);
    if (value === undefined) return undefined;
    values[name] = value;
  }
  return values;
}

/**
 * What may fit a parameter, the surest first: a key whose schema the route uses, a key of the entity that the path
 * names before the parameter (`/v1/stations/{id}`), a property of the same name.
 */
export function candidates(
  name: string,
  field: unknown,
  { keys, properties }: ExampleValues,
  path: string,
): string[] {
  const property = properties.get(name);
  return [
    ...keys.filter((key) => key.entity.params[key.property] === field),
    ...keys.filter((key) => key.property === name && isNamedBefore(name, path, key.entity)),
  ]
    .map(({ value }) => value)
    .concat(property === undefined || property === null ? [] : [String(property)]);
}

/** Whether the path names the entity before the parameter: `station` or its path of writes in `/v1/stations/{id}`. */
export function isNamedBefore(parameter: string, path: string, { name, write }: EntityDefinition): boolean {
  const [, collection = ''] = new RegExp(`/([\\w-]+)/\\{${parameter}\\}`).exec(path) ?? [];
  return collection !== '' && (write?.path === collection || collection.startsWith(name));
}
