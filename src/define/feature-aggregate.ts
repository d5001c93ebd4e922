import type { EntityDefinition } from './entity.ts';
import {
  type Declaration,
  define,
  type EventValue,
  type FeatureDefinition,
  type FeatureReference,
  type Measure,
  type Numbers,
  reference,
  spanOf,
  tiledName,
} from './feature-definition.ts';
import type { FeatureValue, Frequency } from './feature-value.ts';
import type { Window } from './feature-window.ts';
import { DeclarationMistake, defining } from './mistake.ts';

/** A value of an aggregate. */
type Aggregated = EventValue | readonly Frequency[];

/** The values of an aggregate, by the read name of each window. */
export type AggregateRow<Name extends string, Windows extends readonly Window[], Value extends Aggregated> = {
  readonly [Of in Windows[number] as Of extends 'lifetime' ? Name : `${Name}_${Of}`]: FeatureValue<Value>;
};

/** An aggregate over windows in tiles. */
export interface AggregateFeature<
  Owner extends EntityDefinition,
  Name extends string,
  Windows extends readonly Window[],
  Value extends Aggregated,
> extends FeatureDefinition<AggregateRow<Name, Windows, Value>> {
  readonly entity: Owner;
  /** The value over one of the declared windows. */
  window(of: Windows[number]): FeatureReference<Owner, Value>;
}

export interface Tiles<Windows extends readonly Window[]> {
  windows: Windows;
}

interface Numeric<Data> {
  /** The number of an event; null if it has none. */
  value: (data: Data) => number | string | null;
  /** The default is `float`. */
  numbers?: Numbers;
}

type Lifetime = readonly ['lifetime'];
const LIFETIME: Lifetime = ['lifetime'];

/** The number of events in each window. */
export function tiledCount<
  Data,
  Owner extends EntityDefinition,
  Name extends string,
  Windows extends readonly Window[],
>(
  declaration: Declaration<Data, Owner, Name> & Tiles<Windows>,
): AggregateFeature<Owner, Name, Windows, number> {
  return aggregate(declaration, declaration.windows, { aggregate: 'count' }, numberOrZero, true);
}

/** An exact sum in each window. */
export function tiledSum<
  Data,
  Owner extends EntityDefinition,
  Name extends string,
  Windows extends readonly Window[],
>(
  declaration: Declaration<Data, Owner, Name> & Tiles<Windows> & Numeric<Data>,
): AggregateFeature<Owner, Name, Windows, number> {
  const { windows, value, numbers = 'float' } = declaration;
  const measure: Measure<Data> = { aggregate: 'sum', value, numbers };
  return aggregate(declaration, windows, measure, numberOrZero, numbers === 'integer');
}

/** Declares aggregates over windows in tiles. */
export const aggregates = {
  mean: numeric('mean'),
  min: numeric('min'),
  max: numeric('max'),
  /** The variance of the values in the window as a whole population. */
  variance: numeric('variance'),
  firstValue: valued('first_value'),
  lastValue: valued('last_value'),

  /** How many different values there are: exact up to 64 in a window, beyond that within a standard error of 3.25 %. */
  distinct: <
    Data,
    Owner extends EntityDefinition,
    const Name extends string,
    const Windows extends readonly Window[],
  >(
    declaration: Declaration<Data, Owner, Name> & Tiles<Windows> & { value: (data: Data) => EventValue },
  ): AggregateFeature<Owner, Name, Windows, number> => {
    const measure: Measure<Data> = { aggregate: 'distinct', value: declaration.value };
    return aggregate(declaration, declaration.windows, measure, numberOrZero, true);
  },

  /**
   * The values that occur most often, at most `limit` (1 to 32), with their counts: exact up to 32 different values in
   * a window, beyond that estimates for a sample of the values.
   */
  mostFrequent: <
    Data,
    Owner extends EntityDefinition,
    const Name extends string,
    const Windows extends readonly Window[],
  >(
    declaration: Declaration<Data, Owner, Name> &
      Tiles<Windows> & { value: (data: Data) => string | null; limit: number },
  ): AggregateFeature<Owner, Name, Windows, readonly Frequency[]> => {
    const { value, limit } = declaration;
    const measure: Measure<Data> = { aggregate: 'most_frequent', value, limit };
    return aggregate(declaration, declaration.windows, measure, (stored) =>
      // The store returns what the aggregate made.
      Array.isArray(stored) ? (stored as readonly Frequency[]) : [],
    );
  },

  /** A count whose events lose half their weight in each half-life, such as `7d`. */
  decayed: <Data, Owner extends EntityDefinition, const Name extends string>(
    declaration: Declaration<Data, Owner, Name> & { halfLife: Exclude<Window, 'lifetime'> },
  ): AggregateFeature<Owner, Name, Lifetime, number> =>
    aggregate(
      declaration,
      LIFETIME,
      () => ({ aggregate: 'decayed', halfLifeMs: spanOf(declaration.halfLife, 'Its half-life') }),
      numberOrZero,
    ),

  /** The seconds since the newest event. */
  sinceLast: <Data, Owner extends EntityDefinition, const Name extends string>(
    declaration: Declaration<Data, Owner, Name>,
  ): AggregateFeature<Owner, Name, Lifetime, number | null> =>
    aggregate(declaration, LIFETIME, { aggregate: 'since_last' }, numberOrNull),
};

function numeric(kind: 'mean' | 'min' | 'max' | 'variance') {
  return <
    Data,
    Owner extends EntityDefinition,
    const Name extends string,
    const Windows extends readonly Window[],
  >(
    declaration: Declaration<Data, Owner, Name> & Tiles<Windows> & Numeric<Data>,
  ): AggregateFeature<Owner, Name, Windows, number | null> => {
    const { windows, value, numbers = 'float' } = declaration;
    const isWhole = numbers === 'integer' && (kind === 'min' || kind === 'max');
    return aggregate(declaration, windows, { aggregate: kind, value, numbers }, numberOrNull, isWhole);
  };
}

function valued(kind: 'first_value' | 'last_value') {
  return <
    Data,
    Owner extends EntityDefinition,
    const Name extends string,
    const Windows extends readonly Window[],
    Value extends EventValue,
  >(
    declaration: Declaration<Data, Owner, Name> & Tiles<Windows> & { value: (data: Data) => Value },
  ): AggregateFeature<Owner, Name, Windows, Value | null> =>
    aggregate(
      declaration,
      declaration.windows,
      { aggregate: kind, value: declaration.value },
      // The store returns what `value` gave for an event of this feature.
      (stored) => (stored ?? null) as Value | null,
    );
}

function aggregate<
  Data,
  Owner extends EntityDefinition,
  Name extends string,
  Windows extends readonly Window[],
  Value extends Aggregated,
>(
  declaration: Declaration<Data, Owner, Name>,
  windows: Windows,
  measure: Measure<Data> | (() => Measure<Data>),
  read: (stored: unknown) => Value,
  isWhole = false,
): AggregateFeature<Owner, Name, Windows, Value> {
  const { name, entity } = declaration;
  return defining<AggregateFeature<Owner, Name, Windows, Value>>({ kind: 'feature', name }, () => {
    if (windows.length === 0)
      throw new DeclarationMistake('It has no window.', "Declare at least one, e.g. '7d' or 'lifetime'.");
    const resolved = typeof measure === 'function' ? measure() : measure;
    const definition = define<Data, Owner, AggregateRow<Name, Windows, Value>>(declaration, {
      ...resolved,
      windows,
    });
    const made: AggregateFeature<Owner, Name, Windows, Value> = {
      ...definition,
      entity,
      window: (of) => reference(entity, made, tiledName(name, of), isWhole, read),
    };
    return made;
  });
}

/** The feature store has 0 if no event has contributed yet. */
function numberOrZero(stored: unknown): number {
  return typeof stored === 'number' ? stored : 0;
}

function numberOrNull(stored: unknown): number | null {
  return typeof stored === 'number' ? stored : null;
}
