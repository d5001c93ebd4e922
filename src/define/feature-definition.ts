import type { PgColumn } from 'drizzle-orm/pg-core';
import type { EntityDefinition } from './entity.ts';
import type { EventDefinition } from './event.ts';
import { codeOf } from './feature-code.ts';
import type { FeatureRow } from './feature-value.ts';
import { spanMs, type Window } from './feature-window.ts';
import { DeclarationMistake } from './mistake.ts';

/**
 * How events are aggregated into a value. All aggregates are commutative and exact, so that the result does not depend
 * on the order of arrival.
 * - `count`: the number of events in the window;
 * - `sum`, `mean`, `min`, `max`, `variance`: of a number from each event;
 * - `first_value`, `last_value`: a value of the oldest or the newest event;
 * - `distinct`: how many different values there are;
 * - `most_frequent`: the values that occur most often, with their counts, at most `limit` of them;
 * - `decayed`: a count whose events lose half their weight in each half-life;
 * - `last`: the time of the newest event, milliseconds since the Unix epoch;
 * - `since_last`: the seconds since the newest event;
 * - `items`: the count and the last time of each item, newest first, at most `limit` items;
 * - `column`: what the last change of the row has set a column to.
 */
export type Aggregate =
  | 'count'
  | 'sum'
  | 'mean'
  | 'min'
  | 'max'
  | 'variance'
  | 'first_value'
  | 'last_value'
  | 'distinct'
  | 'decayed'
  | 'most_frequent'
  | 'last'
  | 'since_last'
  | 'items'
  | 'column';

/**
 * The kind of numbers that are added. Integers are safe integers. Decimals are numbers or texts, rounded half to even to
 * so many places when an event is folded. Floats are finite doubles. Sums of each are exact, and rounded once on read.
 */
export type Numbers = 'integer' | 'float' | { readonly decimals: number };

/** A value of an event, for an aggregate of values; null if the event has none. */
export type EventValue = number | string | boolean | null;

/**
 * How a column's value is stored with a change of its row:
 * - `text`: as text;
 * - `integer`: a safe integer;
 * - `number`: the nearest double;
 * - `boolean`;
 * - `moment`: milliseconds since the Unix epoch, rounded down. A time without a zone is one of UTC.
 */
export type ColumnKind = 'text' | 'integer' | 'number' | 'boolean' | 'moment';

/** The column that a feature reads. */
export interface FeatureSource {
  /** The property of the drizzle table. */
  readonly property: string;
  readonly column: PgColumn;
  readonly kind: ColumnKind;
}

/** What one event adds to one feature of one entity. */
export interface Contribution {
  /** The canonical text of the entity's key. */
  readonly key: string;
  /** 1, but for a `sum` over `windowsDays`. */
  readonly amount: number;
  /** Empty unless the aggregate is `items`. */
  readonly item: string;
  /** Null unless the aggregate is one of values. */
  readonly value: EventValue;
}

/** What reading a feature's cells needs of its definition: data alone, no functions. */
export type FeatureShape = Pick<
  FeatureDefinition,
  'name' | 'aggregate' | 'windowsDays' | 'windows' | 'numbers' | 'halfLifeMs' | 'ttlMs' | 'limit'
>;

/** `Row` is the type of a read, by read names. It exists for types only; no value has it. */
export interface FeatureDefinition<Row extends FeatureRow = FeatureRow> {
  readonly kind: 'feature';
  readonly row?: Row;
  /** Unique within its entity; a windowed feature is read as `<name>_<window>`, e.g. `rides_7d`. */
  readonly name: string;
  readonly entity: EntityDefinition;
  readonly eventType: string;
  readonly aggregate: Aggregate;
  /** Lengths of the windows in days, ending now; empty for all time. */
  readonly windowsDays: readonly number[];
  /** Windows in tiles of their own widths. Empty for a feature over `windowsDays` and for one of all time. */
  readonly windows: readonly Window[];
  readonly numbers: Numbers;
  /** 0 unless the aggregate is `decayed`. */
  readonly halfLifeMs: number;
  /** A value whose newest event is older is not served (`OUTSIDE_MAX_AGE`); null if it never expires. */
  readonly ttlMs: number | null;
  /** How many items or values are read, at most; 0 unless the aggregate is `items` or `most_frequent`. */
  readonly limit: number;
  /** The column of the entity's table; undefined for a feature over events of producers. */
  readonly column?: FeatureSource;
  /** The declared version, or the text of the functions that an event's contribution comes from. */
  readonly code: string;
  /** The text of the function that names the entities of an event, which is part of `code`; empty with a declared version. */
  readonly keyCode: string;
  /** The event's data if it satisfies the contract, else null. All features of one event type share this function. */
  readonly parse: (data: unknown) => unknown;
  /** What an event contributes to each of its entities, from the result of `parse`. No key occurs twice. */
  readonly contributions: (parsed: unknown) => readonly Contribution[];
}

/**
 * One value of a feature, as models refer to it. Models depend on references only, so a value that is computed from
 * several features can become a reference without a change to the models.
 */
export interface FeatureReference<Owner extends EntityDefinition = EntityDefinition, Value = unknown> {
  readonly kind: 'feature-reference';
  readonly entity: Owner;
  readonly feature: FeatureDefinition;
  /** The name of the value in the feature store: `spend_minor_90d`. */
  readonly readName: string;
  /** Whether the value is always a whole number. */
  readonly isWhole: boolean;
  /**
   * Converts the feature store's value under `readName` (undefined if it has none) into the value for a model.
   *
   * @param now milliseconds since the Unix epoch.
   */
  readonly read: (stored: unknown, now: number) => Value;
}

type KeyOf<Owner extends EntityDefinition> = Parameters<Owner['row']>[0];

export interface Declaration<Data, Owner extends EntityDefinition, Name extends string = string> {
  name: Name;
  entity: Owner;
  event: EventDefinition<Data>;
  /** The entity that this event contributes to, several of them, or `null` for none. */
  key: (data: Data) => KeyOf<Owner> | readonly KeyOf<Owner>[] | null;
  /** Such as `30d`: a value whose newest event is older is not served. */
  ttl?: Exclude<Window, 'lifetime'>;
  /**
   * Raise it when the functions compute something else. With it, the feature is built anew when it changes; without it,
   * when the text of `key`, `value` or `item` does.
   */
  version?: number;
}

/** The names under which a feature is read: one for each window, or its own name without windows. */
export function readNames({
  name,
  windowsDays,
  windows,
}: Pick<FeatureDefinition, 'name' | 'windowsDays' | 'windows'>): string[] {
  if (windows.length > 0) return windows.map((window) => tiledName(name, window));
  return windowsDays.length === 0 ? [name] : windowsDays.map((days) => windowName(name, days));
}

/** The name under which one window of a feature is read. */
export function windowName(feature: string, days: number): string {
  return `${feature}_${days}d`;
}

/** The name under which a window in tiles is read. */
export function tiledName(feature: string, window: Window): string {
  return window === 'lifetime' ? feature : `${feature}_${window}`;
}

/** A reference to one value of a feature. */
export function reference<Owner extends EntityDefinition, Value>(
  entity: Owner,
  of: FeatureDefinition,
  readName: string,
  isWhole: boolean,
  read: (stored: unknown, now: number) => Value,
): FeatureReference<Owner, Value> {
  return { kind: 'feature-reference', entity, feature: of, readName, isWhole, read };
}

/** What an aggregate takes from an event, and how it is read. */
export interface Measure<Data> {
  readonly aggregate: Aggregate;
  readonly windowsDays?: readonly number[];
  readonly windows?: readonly Window[];
  readonly numbers?: Numbers;
  readonly halfLifeMs?: number;
  readonly limit?: number;
  readonly amount?: (data: Data) => number;
  readonly item?: (data: Data) => string;
  readonly value?: (data: Data) => EventValue;
}

/** The entities that one event may contribute to, at most. Each is a row of its own in every fold. */
export const KEYS_PER_EVENT_MAX = 16;

/** @throws DeclarationMistake for a `ttl` that is no length of time. */
export function define<Data, Owner extends EntityDefinition, Row extends FeatureRow>(
  { name, entity, event, key: keyOf, ttl, version }: Declaration<Data, Owner>,
  measure: Measure<Data>,
): FeatureDefinition<Row> {
  const functions = { key: keyOf, amount: measure.amount, item: measure.item, value: measure.value };
  return {
    kind: 'feature',
    name,
    entity,
    eventType: event.type,
    aggregate: measure.aggregate,
    windowsDays: measure.windowsDays ?? [],
    windows: measure.windows ?? [],
    numbers: measure.numbers ?? 'integer',
    halfLifeMs: measure.halfLifeMs ?? 0,
    ttlMs: ttl === undefined ? null : spanOf(ttl, 'Its time to live'),
    limit: measure.limit ?? 0,
    code: version === undefined ? codeOf(functions) : `version ${version}`,
    keyCode: version === undefined ? codeOf({ key: keyOf }) : '',
    parse: event.parse,
    contributions: (parsed) => {
      // The value comes from this event's own `parse`, because no other result is passed here.
      const data = parsed as Data;
      const keys = textsOf(entity, keyOf(data));
      if (keys.length === 0) return [];
      const measured = {
        amount: measure.amount?.(data) ?? 1,
        item: measure.item?.(data) ?? '',
        value: measure.value?.(data) ?? null,
      };
      return keys.map((key) => ({ key, ...measured }));
    },
  };
}

/** @throws DeclarationMistake for a text that is no length of time. */
export function spanOf(span: string, subject: string): number {
  const length = spanMs(span);
  if (length === undefined)
    throw new DeclarationMistake(
      `${subject} is "${span}".`,
      'Give a length of time such as 30m, 24h, 7d or 1y.',
    );
  return length;
}

function textsOf<Owner extends EntityDefinition>(
  entity: Owner,
  keys: KeyOf<Owner> | readonly KeyOf<Owner>[] | null,
): string[] {
  if (keys === null) return [];
  const several: readonly KeyOf<Owner>[] = Array.isArray(keys) ? keys : [keys];
  if (several.length > KEYS_PER_EVENT_MAX)
    throw new RangeError(
      `An event contributes to at most ${KEYS_PER_EVENT_MAX} entities, and not to ${several.length}.`,
    );
  return [...new Set(several.map((key) => entity.key.textOf(key)))];
}
