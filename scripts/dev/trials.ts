/** The lines that `npm run dev` shows to try: curl commands, made from the examples of the catalog's events. */
import { getTableColumns } from 'drizzle-orm';
import * as z from 'zod';
import type { Catalog } from '../../src/define/catalog.ts';
import type { EntityDefinition } from '../../src/define/entity.ts';
import type { Effect, EventDefinition } from '../../src/define/event.ts';
import type { EventToSend, Trial } from '../../src/define/project.ts';
import type { ViewDefinition } from '../../src/define/view.ts';

/** Events, and paths, that are shown: more do not fit on a screen beside the rest. */
const SHOWN_MAX = 4;

/** The values that the examples of a catalog give for parameters of paths. */
interface Known {
  /** By the schema of an entity's key. */
  readonly keys: ReadonlyMap<unknown, string>;
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
  const sends = shown.map(({ type, example }): Trial => ({ send: { type, data: example } }));
  const gets = catalog.views.flatMap((view): Trial[] => {
    const path = pathOf(view, known);
    return path === undefined ? [] : [{ get: path }];
  });
  return [...sends.slice(0, SHOWN_MAX), ...gets.slice(0, SHOWN_MAX)];
}

function knownOf(events: readonly EventDefinition[], now: number): Known {
  const keys = new Map<unknown, string>();
  const properties = new Map<string, unknown>();
  for (const { example, interpret } of events) {
    for (const [name, value] of Object.entries(Object(example)))
      if (!properties.has(name)) properties.set(name, value);
    const meaning = interpret(example, { occurredAt: now, now });
    if (!meaning.ok) continue;
    for (const [schema, key] of meaning.effects.flatMap(keysIn)) if (!keys.has(schema)) keys.set(schema, key);
  }
  return { keys, properties };
}

/** The keys in a row that an effect writes, each with the schema of its entity's keys. */
function keysIn(effect: Effect): [schema: unknown, key: string][] {
  const named =
    effect.kind === 'append'
      ? effect.history.owners.map(({ entity, property }) => ({ entity, property }))
      : [{ entity: effect.entity, property: keyProperty(effect.entity) }];
  return named.flatMap(({ entity, property }): [unknown, string][] => {
    const key = effect.row[property];
    return typeof key === 'string' ? [[entity.keySchema, key]] : [];
  });
}

function keyProperty({ table, key }: EntityDefinition): string {
  return Object.entries(getTableColumns(table)).find(([, column]) => column === key)?.[0] ?? '';
}

/** The view's path with its parameters filled in; undefined where the examples have no value for one of them. */
function pathOf(view: ViewDefinition, known: Known): string | undefined {
  const params = valuesOf(view.params, known);
  const query = valuesOf(view.query, known);
  if (params === undefined || query === undefined) return undefined;
  const path = view.path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(params[name] ?? ''),
  );
  const search = new URLSearchParams(query).toString();
  return search === '' ? path : `${path}?${search}`;
}

/** A text for each field that the schema cannot do without; undefined where one has no value that it takes. */
function valuesOf(schema: z.ZodObject, known: Known): Record<string, string> | undefined {
  const values: Record<string, string> = {};
  for (const [name, field] of Object.entries(schema.shape)) {
    if (z.safeParse(field, undefined).success) continue;
    const value = known.keys.get(field) ?? known.properties.get(name);
    if (value === undefined || value === null || !z.safeParse(field, String(value)).success) return undefined;
    values[name] = String(value);
  }
  return values;
}

/** A trial as a curl command, for a worker at `url` whose key is `key`. */
export function curlOf(trial: Trial, { url, key }: { url: string; key: string }): string {
  if ('get' in trial) return `curl -i ${quoted(`${url}${trial.get}`)}`;
  const headers = `-H 'authorization: Bearer ${key}' -H 'content-type: application/cloudevents+json'`;
  return `curl -i ${url}/v1/events ${headers} -d ${quoted(JSON.stringify(cloudEvent(trial.send)))}`;
}

/** The event in CloudEvents' JSON format. */
export function cloudEvent(event: EventToSend): Record<string, unknown> {
  return { specversion: '1.0', id: 'try-1', source: '/try', ...event };
}

/** One word for a POSIX shell. */
function quoted(text: string): string {
  return /^[\w./:?=%&-]+$/.test(text) && !/[?&]/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
