import type { Catalog } from '../../define/catalog.ts';
import type { Effect } from '../../define/effect.ts';
import type { EventDefinition } from '../../define/event.ts';
import type { FeatureDefinition } from '../../define/feature.ts';
import { valuesOf } from './samples.ts';
import { columnsOf, tableName } from './tables.ts';

/**
 * What the code of an event type and of the features that count it was seen to do with the fields of its example: the
 * functions are code, so no declaration says it. A field is stored in a column if another value of the field makes
 * another value of the column.
 */
export interface ObservedEvent {
  /** `table.column`, of the example and of the values that were tried in its place. */
  readonly columns: ReadonlySet<string>;
  /** The fields of the contract, with the columns that each was seen to be stored in. */
  readonly fields: ReadonlyMap<string, ReadonlySet<string>>;
  /** The fields that the functions of a feature or of a label read. */
  readonly readBy: ReadonlyMap<FeatureDefinition, ReadonlySet<string>>;
  /** The fields that the functions of rules read, by the names of the rules. */
  readonly checkedBy: ReadonlyMap<string, ReadonlySet<string>>;
  readonly unknown: readonly { readonly field: string | null; readonly reason: string }[];
}

/** The time of a run, in milliseconds since the Unix epoch: 2026-01-01. */
const NOW_MS = 1_767_225_600_000;
const CONTEXT = { occurredAt: NOW_MS, now: NOW_MS };

type Data = Readonly<Record<string, unknown>>;
type Values = ReadonlyMap<string, string>;

/** @param readers the features and labels that count the event. */
export function observeEvent(event: EventDefinition, readers: readonly FeatureDefinition[]): ObservedEvent {
  const schemas = fieldSchemas(event);
  const { example } = event;
  const unknown: { field: string | null; reason: string }[] = [];
  const columns = new Set<string>();
  const fields = new Map<string, Set<string>>(Object.keys(schemas).map((field) => [field, new Set()]));
  const readBy = new Map<FeatureDefinition, Set<string>>(readers.map((reader) => [reader, new Set()]));
  const { functions } = event.quality;
  const checkedBy = new Map<string, Set<string>>(functions.map(({ rule }) => [rule, new Set()]));
  const seen: ObservedEvent = { columns, fields, readBy, checkedBy, unknown };
  const base = isData(example) ? stored(event, example) : undefined;
  if (!isData(example) || base === undefined) {
    unknown.push({ field: null, reason: 'It has no example, so its functions were not run.' });
    return seen;
  }
  const watchers: Watcher[] = [
    ...[...readBy].map(([reader, read]) => ({ read, call: reader.contributions })),
    ...functions.map(({ rule, call }) => ({
      read: checkedBy.get(rule) ?? new Set<string>(),
      call: (parsed: unknown) => call(parsed, CONTEXT),
    })),
  ];
  for (const column of base.keys()) columns.add(column);
  watch(event.parse(example), watchers);
  for (const [field, schema] of Object.entries(schemas)) {
    let isTried = false;
    for (const value of otherValues(example[field], schema)) {
      const other = { ...example, [field]: value };
      const after = stored(event, other);
      if (after === undefined) continue;
      isTried = true;
      watch(event.parse(other), watchers);
      for (const column of after.keys()) columns.add(column);
      for (const column of new Set([...base.keys(), ...after.keys()]))
        if (base.get(column) !== after.get(column)) fields.get(field)?.add(column);
    }
    if (!isTried) unknown.push({ field, reason: NO_OTHER });
  }
  return seen;
}

const NO_OTHER =
  'No other value of it was found that the contract and the rules accept, so the columns that it reaches are not known.';

/** The JSON Schemas of the fields of a contract, by their names. */
export function fieldSchemas({ jsonSchema }: Pick<EventDefinition, 'jsonSchema'>): Data {
  const schema = jsonSchema();
  const properties: unknown = isData(schema) ? schema['properties'] : undefined;
  return isData(properties) ? properties : {};
}

/** What data write, by column; undefined if they are refused. */
function stored(event: EventDefinition, data: Data): Values | undefined {
  const verdict = event.interpret(data, CONTEXT);
  return verdict.ok ? valuesIn(verdict.effects) : undefined;
}

function valuesIn(effects: readonly Effect[]): Map<string, string> {
  const values = new Map<string, string[]>();
  for (const effect of effects) {
    const table = effect.kind === 'append' ? effect.history.table : effect.entity.table;
    const rows =
      'row' in effect
        ? [effect.row]
        : [effect.key, ...('by' in effect ? [effect.by, effect.orInsert ?? {}] : [])];
    for (const [property, value] of rows.flatMap((row) => Object.entries(row))) {
      const column = columnsOf(table)[property];
      if (column === undefined) continue;
      const name = `${tableName(table)}.${column.name}`;
      values.set(name, [...(values.get(name) ?? []), JSON.stringify(value, asText) ?? '']);
    }
  }
  return new Map([...values].map(([name, all]) => [name, all.join(' ')]));
}

function asText(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}

/** A function of an event's data, and the fields that it was seen to read. */
interface Watcher {
  readonly read: Set<string>;
  readonly call: (parsed: unknown) => unknown;
}

/** Calls each function, and records the fields that it reads. */
function watch(parsed: unknown, watchers: readonly Watcher[]): void {
  if (!isData(parsed)) return;
  for (const { read, call } of watchers) {
    const watched = new Proxy(parsed, {
      get: (target, property) => {
        if (typeof property === 'string') read.add(property);
        return Reflect.get(target, property);
      },
    });
    try {
      call(watched);
    } catch {
      // A function may refuse values that the contract accepts; what it read until then is recorded.
    }
  }
}

/** Values like this one, that a contract may accept in its place. */
function otherValues(value: unknown, schema: unknown): unknown[] {
  const listed = valuesOf(schema).filter((other) => other !== value);
  if (listed.length > 0) return listed.slice(0, OTHERS_MAX);
  return [...like(value, schema), null, undefined];
}

/** The most values of a field that are tried. */
const OTHERS_MAX = 8;

function like(value: unknown, schema: unknown): unknown[] {
  if (typeof value === 'number') return [value + 1, value - 1, value * 2, value / 2];
  if (typeof value === 'boolean') return [!value];
  if (typeof value === 'string') return textsLike(value);
  if (Array.isArray(value)) return [[...value, ...value.slice(0, 1)], value.slice(1)];
  if (value === null || value === undefined) return typesOf(schema).flatMap((type) => SAMPLES[type] ?? []);
  return [];
}

const SAMPLES: Readonly<Record<string, readonly unknown[]>> = {
  ...{
    string: ['1', 'a', '2026-01-01T00:00:00Z'],
    integer: [1, 10],
    number: [1, 10],
    boolean: [true, false],
  },
};

/** The text with another last character, or with one more: ids and codes have patterns of their own. */
function textsLike(text: string): string[] {
  const moment = Date.parse(text);
  const later =
    /^\d{4}-\d{2}-\d{2}T/.test(text) && !Number.isNaN(moment) ? [new Date(moment - 1_000).toISOString()] : [];
  const last = text.at(-1) ?? '';
  const others = /\d/.test(last) ? ['1', '2'] : /[A-Z]/.test(last) ? ['B', 'C'] : ['b', 'c'];
  return [
    ...later,
    ...others.filter((other) => other !== last).map((other) => text.slice(0, -1) + other),
    `${text}1`,
    `${text}a`,
    'a',
    '1',
  ];
}

function typesOf(schema: unknown): string[] {
  if (!isData(schema)) return [];
  const { type, anyOf } = schema;
  if (typeof type === 'string') return [type];
  return Array.isArray(anyOf) ? anyOf.flatMap(typesOf) : [];
}

function isData(value: unknown): value is Data {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The features and labels of a catalog that count events of a type. */
export function readersOf({ name }: Pick<EventDefinition, 'name'>, catalog: Catalog): FeatureDefinition[] {
  const labels = catalog.models.flatMap(({ dataset, feedback }) =>
    [dataset?.label, feedback?.label].filter((label) => label !== undefined),
  );
  return [...catalog.features, ...labels].filter(
    ({ eventType }) => catalog.eventTypes.get(eventType)?.name === name,
  );
}
