import type { EntityDefinition } from './entity.ts';
import type { EventDefinition } from './event.ts';
import type { FeatureRow, ItemCount, WindowedRow } from './feature-value.ts';

/**
 * How events become a value. All four are commutative and keep exact integers, so that the result does not
 * depend on the order of arrival.
 * - `count`: the number of events in the window;
 * - `sum`: the sum of a safe integer taken from each (money in minor units);
 * - `last`: when the newest one happened, milliseconds since the Unix epoch;
 * - `items`: per item, how often and when last, newest first, at most `limit` of them.
 */
export type Aggregate = 'count' | 'sum' | 'last' | 'items';

/** What one event adds to one feature of one entity. */
export interface Contribution {
  /** The entity's key in its canonical text. */
  readonly key: string;
  /** 1 for `count`, `last` and `items`. */
  readonly amount: number;
  /** Empty unless the aggregate is `items`. */
  readonly item: string;
}

/** `Row` is what a read of it has, by its read names: for types alone, no value has it. */
export interface FeatureDefinition<Row extends FeatureRow = FeatureRow> {
  readonly kind: 'feature';
  readonly row?: Row;
  /** Unique within its entity; a windowed feature is read as `<name>_<days>d`. */
  readonly name: string;
  readonly entity: EntityDefinition;
  readonly eventType: string;
  readonly aggregate: Aggregate;
  /** Lengths of the windows in days, ending now; empty for all time. */
  readonly windowsDays: readonly number[];
  /** How many items are read, newest first; 0 unless the aggregate is `items`. */
  readonly limit: number;
  /** The event's data if they keep its contract, else null. Features of one event type have the same function here. */
  readonly parse: (data: unknown) => unknown;
  /** What an event adds, by what `parse` made of its data; null where it counts for none. */
  readonly contribution: (parsed: unknown) => Contribution | null;
}

interface Declaration<Data, Owner extends EntityDefinition, Name extends string = string> {
  name: Name;
  entity: Owner;
  event: EventDefinition<Data>;
  /** The entity that this event counts for, or `null` where it counts for none. */
  key: (data: Data) => Parameters<Owner['row']>[0] | null;
}

/** Declares features over one event type. */
export const feature = {
  count: <
    Data,
    Owner extends EntityDefinition,
    const Name extends string,
    const Days extends readonly number[],
  >(
    declaration: Declaration<Data, Owner, Name> & { windowsDays: Days },
  ): FeatureDefinition<WindowedRow<Name, Days, number>> =>
    define(declaration, 'count', declaration.windowsDays, () => ({ amount: 1, item: '' })),

  sum: <
    Data,
    Owner extends EntityDefinition,
    const Name extends string,
    const Days extends readonly number[],
  >(
    declaration: Declaration<Data, Owner, Name> & { windowsDays: Days; value: (data: Data) => number },
  ): FeatureDefinition<WindowedRow<Name, Days, number>> =>
    define(declaration, 'sum', declaration.windowsDays, (data) => ({
      amount: declaration.value(data),
      item: '',
    })),

  last: <Data, Owner extends EntityDefinition, const Name extends string>(
    declaration: Declaration<Data, Owner, Name>,
  ): FeatureDefinition<WindowedRow<Name, [], number | null>> =>
    define(declaration, 'last', [], () => ({ amount: 1, item: '' })),

  items: <Data, Owner extends EntityDefinition, const Name extends string>(
    declaration: Declaration<Data, Owner, Name> & { item: (data: Data) => string; limit: number },
  ): FeatureDefinition<WindowedRow<Name, [], readonly ItemCount[]>> =>
    define(
      declaration,
      'items',
      [],
      (data) => ({ amount: 1, item: declaration.item(data) }),
      declaration.limit,
    ),
};

function define<Data, Owner extends EntityDefinition, Row extends FeatureRow>(
  declaration: Declaration<Data, Owner>,
  aggregate: Aggregate,
  windowsDays: readonly number[],
  measure: (data: Data) => { amount: number; item: string },
  limit = 0,
): FeatureDefinition<Row> {
  const { name, entity, event } = declaration;
  return {
    kind: 'feature',
    name,
    entity,
    eventType: event.type,
    aggregate,
    windowsDays,
    limit,
    parse: event.parse,
    contribution: (parsed) => {
      // Of this event's own `parse`, which is the only one whose outcome comes here.
      const data = parsed as Data;
      const key = declaration.key(data);
      return key === null ? null : { key: entity.key.textOf(key), ...measure(data) };
    },
  };
}

/** The names under which a feature is read: one a window, or its own. */
export function readNames({ name, windowsDays }: FeatureDefinition): string[] {
  return windowsDays.length === 0 ? [name] : windowsDays.map((days) => `${name}_${days}d`);
}
