/** The lines that `npm run dev` shows to try: curl commands, made from the examples of the catalog's events. */
import * as z from 'zod';
import type { Catalog } from '../../src/define/catalog.ts';
import { type EntityDefinition, ownerKey } from '../../src/define/entity.ts';
import type { Effect, EventDefinition } from '../../src/define/event.ts';
import type { EventToSend, Trial } from '../../src/define/project.ts';
import type { ViewDefinition } from '../../src/define/view.ts';

/** Events, and paths, that are shown: more do not fit on a screen beside the rest. */
const SHOWN_MAX = 4;

/** A part of an entity's key that an example names. */
interface KnownKey {
  readonly entity: EntityDefinition;
  readonly property: string;
  readonly value: string;
}

/** The values that the examples of a catalog give for parameters of paths. */
interface Known {
  readonly keys: readonly KnownKey[];
  /** By the name of a property of an example's data. */
  readonly properties: ReadonlyMap<string, unknown>;
}

/**
 * What to try on a catalog of which only the declarations are known: its events by their examples, and the views
 * whose parameters take a value of the examples.
 *
 * @param now milliseconds since the Unix epoch: the examples are interpreted as if they happened then.
 */
export function trialsOf(catalog: Catalog, now: number): Trial[] {
  const shown = catalog.events.filter(({ example }) => example !== undefined);
  const known = knownOf(shown, now);
  const sends = shown.slice(0, SHOWN_MAX).map(({ type, example }) => ({ send: { type, data: example } }));
  const paths = catalog.views.flatMap((view) => pathOf(view, known) ?? []).slice(0, SHOWN_MAX);
  const [event] = sends;
  if (event === undefined) return [];
  if (paths.length === 0) return sends;
  return [
    ...noted('send the example of each event type; 201 says that it is stored', sends),
    ...noted('read, which fills the cache', gets(paths)),
    { ...event, note: 'the first event once more, with another id' },
    ...noted(
      'read again: what the event changed is fresh (Cache-Status: fwd=stale, or a hit filled ahead), the rest a hit',
      gets(paths),
    ),
  ];
}

function gets(paths: readonly string[]): Trial[] {
  return paths.map((get) => ({ get }));
}

/** The trials, with a note above the first one. */
export function noted(note: string, trials: readonly Trial[]): Trial[] {
  return trials.map((trial, index) => (index === 0 ? { ...trial, note } : trial));
}

function knownOf(events: readonly EventDefinition[], now: number): Known {
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

/** The view's path with its parameters filled in; undefined where the examples have no value for one of them. */
function pathOf(view: ViewDefinition, known: Known): string | undefined {
  const params = valuesOf(view.params, known, view.path);
  const query = valuesOf(view.query, known, view.path);
  if (params === undefined || query === undefined) return undefined;
  const path = view.path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(params[name] ?? ''),
  );
  const search = new URLSearchParams(query).toString();
  return search === '' ? path : `${path}?${search}`;
}

/** A text for each field that the schema requires; undefined where the examples have none that it takes. */
function valuesOf(schema: z.ZodObject, known: Known, path: string): Record<string, string> | undefined {
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
 * What may fit a parameter, the surest first: a key whose schema the view uses, a key of the entity that the path
 * names before the parameter (`/v1/customers/{id}`), a property of the same name.
 */
function candidates(name: string, field: unknown, { keys, properties }: Known, path: string): string[] {
  const [, collection = ''] = new RegExp(`/([\\w-]+)/\\{${name}\\}`).exec(path) ?? [];
  const isNamed = ({ name: entity, write }: EntityDefinition) =>
    collection !== '' && (write?.path === collection || collection.startsWith(entity));
  const property = properties.get(name);
  return [
    ...keys.filter((key) => key.entity.params[key.property] === field),
    ...keys.filter((key) => key.property === name && isNamed(key.entity)),
  ]
    .map(({ value }) => value)
    .concat(property === undefined || property === null ? [] : [String(property)]);
}

/** What stands for the id of an event, and what the shell makes of it: another one at each run. */
const ID_PLACE = 'try-id';
const ID_OF_RUN = `try-'$(date +%s%N)'`;

/** A trial as a curl command, for a worker at `url` whose key is `key`. Only what is closed is asked with the key. */
export function curlOf(
  trial: Trial,
  { url, key }: { url: string; key: string },
  catalog: Pick<Catalog, 'views' | 'models'>,
): string {
  const authorization = `-H 'authorization: Bearer ${key}'`;
  if ('get' in trial) {
    const curl = `curl -i ${quoted(`${url}${trial.get}`)}`;
    return answersWithoutKey(catalog, trial.get) ? curl : `${curl} ${authorization}`;
  }
  const headers = `${authorization} -H 'content-type: application/cloudevents+json' -H 'prefer: wait'`;
  const body = quoted(JSON.stringify(cloudEvent({ id: ID_PLACE, ...trial.send })));
  return `curl -i ${url}/v1/events ${headers} -d ${body.replace(`"id":"${ID_PLACE}"`, `"id":"${ID_OF_RUN}"`)}`;
}

function answersWithoutKey({ views, models }: Pick<Catalog, 'views' | 'models'>, path: string): boolean {
  const segments = (path.split('?')[0] ?? '').split('/');
  return [...views, ...models].some(({ path: template = '', isPublic }) => {
    const expected = template.split('/');
    const fits = (segment: string, index: number) => segment.startsWith('{') || segment === segments[index];
    return isPublic && expected.length === segments.length && expected.every(fits);
  });
}

/** The event in CloudEvents' JSON format. */
export function cloudEvent(event: EventToSend): Record<string, unknown> {
  return { specversion: '1.0', id: `try-${event.type}`, source: '/try', ...event };
}

/** One word for a POSIX shell. */
function quoted(text: string): string {
  return /^[\w./:?=%&-]+$/.test(text) && !/[?&]/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
